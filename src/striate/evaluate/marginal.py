"""One object that averages probabilities over everything testing may average: nets, views, draws of noise.

    p(class | image) = Σ over members, views and samples of  weight · softmax(scores)

Averages are of probabilities, never of logits: a marginal is a mean of distributions. An image is decoded once for all
members, resized once a scale, and its views go through the net together with those of its neighbours, so that k views
cost less than k evaluations. The design, and what it was weighed against: docs/design/marginal.md.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from striate.augment import View
from striate.data import Preprocess, Samples
from striate.errors import StriateError
from striate.evaluate.calibration import tempered
from striate.evaluate.sampling import Sampling
from striate.evaluate.uncertainty import Uncertainty, entropy
from striate.evaluate.views import Plan
from striate.nets import Net
from striate.nets.rewrite.slide import fully_convolutional
from striate.tasks import Classification
from striate.train.ahead import rows_ahead
from striate.train.looks import Bases, Looks, Rows

__all__ = ["Answers", "Marginal", "Member"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One net of an ensemble, in evaluation mode, and how it is fed."""

    name: str
    net: Net
    classes: tuple[str, ...]
    preprocess: Preprocess
    trained: tuple[View, ...] = ()  # what the noise of its training states that testing averages; () if not known
    temperature: float = 1.0  # what its own probabilities are tempered with, where a model file says so


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What the marginal says of N images. passes: how many images went through a net; seconds: reading included."""

    probabilities: NDArray[np.float64]  # [N, K]
    uncertainty: Uncertainty
    passes: int
    seconds: float


@final
class Marginal:
    """Members × views × samples.

    `samples` draws of the noise layers replace the average net; 0 draws none. `batch_size` images go through a net at a
    time, a view being an image; it changes no answer by more than rounding.

    Raises StriateError for members of other classes, a net that cannot slide where `plan` is dense, and a net without
    noise where samples are asked for.
    """

    def __init__(
        self,
        members: Sequence[Member],
        plan: Plan | None = None,
        *,
        samples: int = 0,
        seed: int = 0,
        batch_size: int = 64,
        device: str | torch.device = "cpu",
    ) -> None:
        plan = plan or Plan()
        if not members:
            raise StriateError("an ensemble of no members has no answer; give at least one model")
        if samples < 0:
            raise StriateError(f"samples is {samples}; give how many nets to draw, or 0 for the average net")
        self.classes = members[0].classes
        self.notes = tuple(dict.fromkeys(note for m in members for note in plan.notes(m.preprocess, m.trained)))
        self._members = tuple(members)
        self._columns = [_columns(self.classes, member) for member in members]
        seen = [(member.preprocess, plan.views(member.preprocess, member.trained)) for member in members]
        feeds = list(dict.fromkeys(seen))  # members fed alike share their views
        self._looks = [Looks(preprocess, views, whole=plan.dense) for preprocess, views in feeds]
        self._looks_of = [feeds.index(feed) for feed in seen]
        self._nets: list[nn.Module] = [
            fully_convolutional(member.net) if plan.dense else member.net for member in members
        ]
        self.views = len(seen[0][1])
        self._most_views = max(len(views) for _, views in feeds)
        self._samples, self._seed = samples, seed
        self._batch_size, self._device = batch_size, torch.device(device)
        self._task = Classification(self.classes)
        for member, net in zip(members, self._nets, strict=True):
            net.to(self._device).eval()
            if samples:
                Sampling(net, seed=seed, name=member.name)  # refuses now a net that has nothing to draw

    def over(self, images: Samples, *, workers: int = 2) -> Answers:
        """The answers for all images, in their order. Raises StriateError, naming it, for one that cannot be read."""
        if len(images) == 0:
            raise StriateError("no images to evaluate: the part is empty")
        started = time.perf_counter()
        count = max(1, self._batch_size // self._most_views)
        chunks = [range(i, min(i + count, len(images))) for i in range(0, len(images), count)]
        found = []
        with rows_ahead(images, chunks, self._looks, workers=workers) as prepared:
            for numbers, rows in zip(chunks, prepared, strict=True):
                found.append(self._answer(rows, numbers, [images.name(i) for i in numbers]))
        return self._joined(found, time.perf_counter() - started)

    def bases(self, image: NDArray[np.uint8]) -> list[Bases]:
        """A decoded image, uint8 [H, W, C], at every scale, as `of` takes it; from any thread."""
        return [looks.bases(image) for looks in self._looks]

    def of(self, images: Sequence[list[Bases]], names: Sequence[str]) -> Answers:
        """The answers for a few images; every one is drawn for as image 0, whatever is beside it."""
        started = time.perf_counter()
        rows = [looks.rows(list(bases)) for looks, bases in zip(self._looks, zip(*images, strict=True), strict=True)]
        answer = self._answer(rows, [0] * len(images), names)
        return self._joined([answer], time.perf_counter() - started)

    def _answer(
        self, prepared: Sequence[list[Rows]], numbers: Sequence[int], names: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Mean probabilities [B, K], the draws' mean entropy [B], and passes."""
        mean = np.zeros((len(numbers), len(self.classes)))
        of_draws = np.zeros(len(numbers))
        passes = 0
        for m, looks in enumerate(self._looks_of):
            drawn = np.zeros((len(numbers), max(1, self._samples), len(self.classes)))
            for rows in prepared[looks]:
                passes += self._add(drawn, m, rows, numbers)
            wrong = ~np.isfinite(drawn).all((1, 2))
            if wrong.any():
                raise StriateError(
                    f"{self._members[m].name} answers {names[int(wrong.argmax())]} with NaN: its weights are damaged, "
                    "or its training diverged; use another checkpoint"
                )
            if self._members[m].temperature != 1:
                drawn = tempered(drawn, self._members[m].temperature)
            mean += drawn.mean(1)
            of_draws += entropy(drawn).mean(1)
        return mean / len(self._members), of_draws / len(self._members), passes

    def _add(self, drawn: NDArray[np.float64], m: int, rows: Rows, numbers: Sequence[int]) -> int:
        """Add member m's weighted probabilities for these rows to `drawn` [B, S, K]; returns the passes it took."""
        draws = drawn.shape[1]
        area: float = math.prod(rows.images.shape[2:]) / math.prod(self._members[m].preprocess.size)
        step = max(1, round(self._batch_size / area))  # a large image counts as the windows it is as large as
        sampling = Sampling(self._nets[m], seed=self._seed) if self._samples else None
        with torch.inference_mode(), sampling or contextlib.nullcontext():
            for start in range(0, len(rows.owners) * draws, step):
                row, draw = np.divmod(np.arange(start, min(start + step, len(rows.owners) * draws)), draws)
                owners = rows.owners[row]
                x = rows.images if len(row) == len(rows.images) and draws == 1 else rows.images[torch.from_numpy(row)]
                x = x.to(self._device, non_blocking=True)
                if sampling is None:
                    scores = self._nets[m](x)
                else:
                    scores = sampling(x, [numbers[i] for i in owners], draw.tolist())
                p = self._task.decode(scores)
                if p.ndim == 4:  # a map of answers, from a net that slides: each place is a view
                    p = p.mean((2, 3))
                weighted = p.cpu().numpy()[:, self._columns[m]] * rows.weights[row][:, None]
                np.add.at(drawn, (owners, draw), weighted)
        return len(rows.owners) * int(draws)

    @staticmethod
    def _joined(found: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], int]], seconds: float) -> Answers:
        mean = np.concatenate([mean for mean, _, _ in found])
        of_draws = np.concatenate([of_draws for _, of_draws, _ in found])
        passes = sum(passes for *_, passes in found)
        return Answers(probabilities=mean, uncertainty=Uncertainty.of(mean, of_draws), passes=passes, seconds=seconds)


def _columns(classes: tuple[str, ...], member: Member) -> NDArray[np.int64]:
    """Where a member keeps each class."""
    if sorted(classes) != sorted(member.classes):
        odd = sorted(set(classes) ^ set(member.classes))
        raise StriateError(
            f"{member.name} does not tell the same classes apart as the first model: {odd[0]!r} is known to one only"
        )
    column = {name: k for k, name in enumerate(member.classes)}
    return np.array([column[name] for name in classes], np.int64)
