"""How much data there is and how near they are to what the net was trained on: measured, for the lectures' table.

                        similar to the source             different from it
    few images      a linear classifier on top        linear classifiers on several stages: the best of them
    many images     fine-tune a few layers            fine-tune more of them

Near means: the source's own answers already say much about the new classes. They are read as Nguyen et al. 2020 do
("LEEP"): p(class | image) = Σ over the source's classes z of p(class | z) · p(z | image), the first factor counted on
the other images. An ant is an ant to ImageNet; a hand sign is now a band-aid, now a hair slide. And the layers must not
say the contrary: where an early layer knows more than the deepest, what is specific of the source is in the way, and
where no layer knows much, the source has learnt to see other things.

All is asked with the same few images of every class, however many there are (more would make any source look nearer), a
row left out in turn, by a ridge classifier on every place. What a constant answer gets right is taken off, so that two
classes and ten compare, and forty images of one class beside one of another say nothing: κ = (a − c) / (1 − c), Cohen
1960. Where no class has two images none can be left out, and nothing is known.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.train.transfer.amount import Amount, some_of_each
from striate.train.transfer.features import unit
from striate.train.transfer.probes import fit_probe

__all__ = ["Evidence", "PlaceEvidence", "answered", "gather"]

SHOTS = 10  # images of a class that nearness is asked with
DRAWS = 5  # times that they are drawn, where there are more
CLASSIFIER = "ridge"  # closed form, its leave-one-out as well: a hundredth of a second for each place


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PlaceEvidence:
    """What is seen at one place. `kappa`: accuracy with SHOTS images of a class, above chance; `accuracy`: with all,
    left out in turn; `apart`: mean distance of rows to the nearest other class's mean, by that to their own's. NaN
    where every class has a single image."""

    place: str
    kappa: float
    accuracy: float
    apart: float


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the choice of a plan goes by; places from the image on. `answers`: κ of the source's own answers; `chance`:
    what a constant answer got right among the images that were asked (None: one of the classes)."""

    amount: Amount
    places: tuple[PlaceEvidence, ...]
    answers: float
    chance: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether any image could be left out and asked for."""
        return not math.isnan(self.deepest.accuracy)

    @property
    def deepest(self) -> PlaceEvidence:
        """The last place, just below the scores."""
        return self.places[-1]

    @property
    def best(self) -> PlaceEvidence:
        """The place with the best accuracy, the deeper of equal ones."""
        return max(reversed(self.places), key=lambda place: place.accuracy)

    @property
    def known(self) -> float:
        """What the best place knows with all images: its accuracy above chance, κ."""
        return _kappa(self.best.accuracy, self.amount.chance)

    @property
    def error(self) -> float:
        """Standard error of an accuracy with all images."""
        return _error(self.best.accuracy, self.amount.images)

    @property
    def answers_error(self) -> float:
        """Standard error of `answers`, by the images that were asked: with 20 of two classes it is 0.2."""
        chance = 1 / max(2, self.amount.classes) if self.chance is None else self.chance
        accuracy = chance + (1 - chance) * self.answers
        asked = min(DRAWS * SHOTS * self.amount.classes, self.amount.images)
        return _error(accuracy, asked) / (1 - chance)


def gather(
    rows: Mapping[str, NDArray[np.float32]],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
) -> Evidence:
    """From the training images: features [N, D] at every place, in the order of depth, and the source's scores."""
    counts = np.bincount(labels, minlength=classes)
    amount = Amount(images=len(labels), least=int(counts.min()), classes=classes, most=int(counts.max()))
    if counts.max() < 2:
        unknown = [PlaceEvidence(place=place, kappa=math.nan, accuracy=math.nan, apart=math.nan) for place in rows]
        return Evidence(amount=amount, places=tuple(unknown), answers=math.nan)
    draws = [some_of_each(labels, SHOTS, seed) for seed in range(DRAWS if counts.max() > SHOTS else 1)]
    chance = max(1 / classes, float(np.bincount(labels[draws[0]]).max()) / len(draws[0]))  # of every draw
    places = []
    for place, seen in rows.items():
        kappas = [_kappa(_accuracy(seen[drawn], labels[drawn], classes), chance) for drawn in draws]
        accuracy = _accuracy(seen, labels, classes)
        places.append(
            PlaceEvidence(
                place=place, kappa=float(np.mean(kappas)), accuracy=accuracy, apart=_apart(seen, labels, classes)
            )
        )
    told = _probabilities(scores)
    answers = [_kappa(answered(told[drawn], labels[drawn], classes), chance) for drawn in draws]
    return Evidence(amount=amount, places=tuple(places), answers=float(np.mean(answers)), chance=chance)


def answered(told: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> float:
    """Accuracy of what the source's probabilities [N, Z] say about the labels, each image left out in turn."""
    joint = np.stack([told[labels == label].sum(0) for label in range(classes)])  # K × Z
    share = told / np.maximum(joint.sum(0) - told, np.finfo(np.float64).eps)  # p(z | image) / Σ of the others' p(z)
    guess = share @ joint.T
    guess[np.arange(len(told)), labels] -= (share * told).sum(1)  # its own part of the joint
    return float((guess.argmax(1) == labels).mean())


def _probabilities(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    raised = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def _accuracy(rows: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> float:
    return fit_probe(CLASSIFIER, rows, labels, classes).expected


def _error(share: float, images: int) -> float:
    """Standard error of a share of so many images."""
    return math.sqrt(max(0.0, share * (1 - share)) / images)


def _kappa(accuracy: float, chance: float) -> float:
    return (accuracy - chance) / (1 - chance)


def _apart(rows: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> float:
    """On rows of length one, so that a place's scale does not count; 1 says that classes do not lie apart at all.

    An image that is the only one of its class is its class's mean, and says nothing.
    """
    x = unit(rows).astype(np.float64)
    means = np.stack([x[labels == label].mean(0) for label in range(classes)])
    asked = np.bincount(labels, minlength=classes)[labels] > 1
    distances = np.linalg.norm(x[asked, None] - means[None], axis=2)  # N × K
    here = np.arange(len(distances))
    own = distances[here, labels[asked]].copy()
    distances[here, labels[asked]] = np.inf
    return float(distances.min(1).mean() / max(own.mean(), 1e-12))
