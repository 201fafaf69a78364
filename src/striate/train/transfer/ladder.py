"""The table of DeCAF: layer by classifier, the mean accuracy over several splits and its deviation.

A split is a draw of training images, so many of each class (Donahue 2014 took 30 of Caltech-101's classes, five times);
what is asked is the part that no training touches, or, without one, the images that were not drawn.
"""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError
from striate.pages.curves import Series, line_chart
from striate.train.transfer.amount import some_of_each
from striate.train.transfer.probes import check_classifiers, fit_probe

__all__ = ["Cell", "Ladder", "climb", "depth_chart", "ladder_csv"]

KINDS = ("a", "b", "c", "d", "e")  # colours of the charts


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One layer under one classifier: an accuracy for each split."""

    place: str
    features: int
    classifier: str
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the splits."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Of the splits, as of a sample; 0 of a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Ladder:
    """All cells, places from the image on. `per_class`: training images of each class; None: all there are, so that
    splits differ in folds alone."""

    cells: tuple[Cell, ...]
    per_class: int | None
    splits: int

    @property
    def places(self) -> tuple[str, ...]:
        """In order of depth."""
        return tuple(dict.fromkeys(cell.place for cell in self.cells))

    @property
    def classifiers(self) -> tuple[str, ...]:
        """In the order asked for."""
        return tuple(dict.fromkeys(cell.classifier for cell in self.cells))

    def cell(self, place: str, classifier: str) -> Cell:
        """The cell of that layer and classifier."""
        return next(cell for cell in self.cells if (cell.place, cell.classifier) == (place, classifier))

    @property
    def best(self) -> Cell:
        """The best mean; of equal ones the deeper."""
        return max(reversed(self.cells), key=lambda cell: cell.mean)


def climb(
    train: Mapping[str, NDArray[np.float32]],
    train_labels: NDArray[np.int64],
    asked: Mapping[str, NDArray[np.float32]],
    asked_labels: NDArray[np.int64],
    classes: int,
    *,
    classifiers: Sequence[str],
    splits: int = 5,
    per_class: int | None = None,
) -> Ladder:
    """Every classifier on every place, `splits` times. Raises StriateError for a classifier that there is none of."""
    check_classifiers(classifiers)
    if splits < 1:
        raise StriateError(f"--splits {splits}: expected 1 or more")
    everything = np.arange(len(train_labels))
    draws = [
        everything if per_class is None else some_of_each(train_labels, per_class, split) for split in range(splits)
    ]
    cells = []
    for place, rows in train.items():
        for classifier in classifiers:
            found = []
            for split, drawn in enumerate(draws):
                probe = fit_probe(classifier, rows[drawn], train_labels[drawn], classes, seed=split)
                found.append(probe.accuracy(asked[place], asked_labels))
            cells.append(Cell(place=place, features=rows.shape[1], classifier=classifier, accuracies=tuple(found)))
    return Ladder(cells=tuple(cells), per_class=per_class, splits=splits)


def depth_chart(ladder: Ladder, key: str = "depth") -> str:
    """Accuracy against depth, more generic to more specific, as SVG: a curve for each classifier, ± its deviation."""
    series = []
    for kind, classifier in zip(KINDS, ladder.classifiers, strict=False):
        column = [ladder.cell(place, classifier) for place in ladder.places]
        series.append(
            Series(
                name=classifier,
                x=list(range(1, len(column) + 1)),
                y=[cell.mean for cell in column],
                kind=kind,
                low=[max(0.0, cell.mean - cell.deviation) for cell in column],
                high=[min(1.0, cell.mean + cell.deviation) for cell in column],
            )
        )
    return line_chart(
        key,
        "Accuracy against depth",
        series,
        x_name="layer, from the image to the scores",
        y_name="images right",
        shares=True,
    )


def ladder_csv(ladder: Ladder) -> str:
    """A line for each cell: layer, features, classifier, images of each class, splits, mean, deviation."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["layer", "features", "classifier", "per_class", "splits", "mean", "deviation"])
    for cell in ladder.cells:
        per_class = "" if ladder.per_class is None else ladder.per_class
        lines.writerow(
            [
                cell.place,
                cell.features,
                cell.classifier,
                per_class,
                ladder.splits,
                f"{cell.mean:.6f}",
                f"{cell.deviation:.6f}",
            ]
        )
    return out.getvalue()
