"""What a run leaves to be told: plain numbers, names and a few small pictures, no torch.

The trainer fills one `RunRecord` when a run ends, however it ends; `striate.train.report.write_report` turns it into
the page. Everything here is immutable, made of built-in types and NumPy arrays, and checked once, when it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from striate.errors import unknown
from striate.train.report.watched import Watched

__all__ = [
    "OUTCOMES",
    "STAGE_NAMES",
    "DataSummary",
    "EpochRow",
    "Example",
    "LayerLine",
    "Mistake",
    "RunRecord",
    "Scored",
]

OUTCOMES = ("finished", "stopped early", "interrupted", "diverged")

# How far an accuracy that was summed in float32 may lie from the one the confusion matrix gives exactly.
ACCURACY_TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One picture of the training set. image: uint8 [H, W, C], C = 1 or 3; label: the name of its class."""

    image: npt.NDArray[np.uint8]
    label: str

    def __post_init__(self) -> None:
        _check_picture(self.image, f"the example of {self.label!r}")


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """What the net was shown.

    name: of the set ("digits"); spec: what the user typed (a name or a folder). counts: images of each class, one
    tuple as long as `classes` per part ("train", "val", "test"). notes: one line each on what was skipped and why.
    """

    name: str
    spec: str
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        for part, counts in self.counts.items():
            if len(counts) != len(self.classes):
                raise ValueError(f"part {part!r} counts {len(counts)} classes, but there are {len(self.classes)}")


# What the loader's stages are called for a person.
STAGE_NAMES = {"read": "disk", "decode": "decode", "augment": "augment", "transfer": "transfer", "compute": "compute"}


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One epoch. Accuracies and `data_wait_share` are shares of 1; losses are in nats per image, NaN where they were.

    step: steps done when the epoch ended; learning_rate: of its last step; seconds: its training, validation left out;
    data_wait_share: the part of those seconds in which the step stood waiting for images; waits: what for, shares of
    the seconds by stage ("read", "decode", "augment", "transfer", and "compute" for the rest), empty in older logs.
    """

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    learning_rate: float
    seconds: float
    images_per_second: float
    data_wait_share: float
    waits: Mapping[str, float] = field(default_factory=dict)

    @property
    def waited_for(self) -> str:
        """The stages that the step waited for by a hundredth of its time and more, the longest first, in words."""
        stages = sorted(((share, stage) for stage, share in self.waits.items() if stage != "compute"), reverse=True)
        return ", ".join(f"{STAGE_NAMES[stage]} {share:.0%}" for share, stage in stages if share >= 0.01)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mistake:
    """An image the net got wrong. image: uint8 [H, W, C], as the net was given it but not normalised; C = 1 or 3.

    name: of the file or the sample; truth, predicted: names of classes; probability: what the net gave `predicted`.
    """

    image: npt.NDArray[np.uint8]
    name: str
    truth: str
    predicted: str
    probability: float

    def __post_init__(self) -> None:
        _check_picture(self.image, f"the mistake {self.name!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """How the chosen weights did on images they were not fitted to.

    part: "test", or "val" when there is no test part. confusion: int64 [C, C], row = true class, column = predicted.
    top5: None where there are too few classes for it to say anything. mistakes: most confident first, or some of them.
    """

    part: str
    samples: int
    accuracy: float
    loss: float
    confusion: npt.NDArray[np.int64]
    top5: float | None = None
    mistakes: tuple[Mistake, ...] = ()

    def __post_init__(self) -> None:
        shape = self.confusion.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"a confusion matrix is square, [C, C]; this one has shape {list(shape)}")
        total = int(self.confusion.sum())
        if total != self.samples:
            raise ValueError(f"the confusion matrix counts {total} images, but {self.samples} were scored")
        if total and abs(self.right / total - self.accuracy) > ACCURACY_TOLERANCE:
            raise ValueError(f"accuracy {self.accuracy} is not the confusion matrix's {self.right}/{total}")

    @property
    def right(self) -> int:
        """Images whose most probable class is the true one."""
        return int(np.trace(self.confusion))


@dataclass(frozen=True, kw_only=True)
class LayerLine:
    """One layer of the net. output_shape: of one image, without the batch; macs: multiply-adds for one image."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """Everything the report tells of one run.

    command: what to type into a shell to repeat the run exactly. settings: the resolved ones; tables may nest.
    steps: (step, loss) as logged. best_epoch: the `epoch` of the row whose weights were chosen. outcome: one of
    `OUTCOMES`; outcome_note: a sentence on it (why it stopped, at which step). filters: the first convolution's
    weights, float [O, I, h, w], None when the net has none. seconds: of the whole run; started: ISO 8601.
    watched: what the watch saw, None when it was off. machine, versions: what to show, in order, as name and value.
    """

    name: str
    command: str
    settings: Mapping[str, Any]
    net: str
    data: DataSummary
    epochs: tuple[EpochRow, ...]
    steps: tuple[tuple[int, float], ...] = ()
    best_epoch: int | None = None
    outcome: str = "finished"
    outcome_note: str = ""
    final: Scored | None = None
    filters: npt.NDArray[np.floating[Any]] | None = None
    layers: tuple[LayerLine, ...] = ()
    seconds: float
    peak_memory_nbytes: int | None = None
    watched: Watched | None = None
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(unknown("outcome", self.outcome, OUTCOMES))
        if self.best_epoch is not None and self.best is None:
            raise ValueError(f"best epoch {self.best_epoch} is not among the {len(self.epochs)} epochs of the record")
        if self.final is not None and len(self.final.confusion) != len(self.data.classes):
            raise ValueError(
                f"the confusion matrix has {len(self.final.confusion)} classes, the data {len(self.data.classes)}"
            )
        if self.filters is not None and self.filters.ndim != 4:
            raise ValueError(f"filters are [O, I, h, w]; these have shape {list(self.filters.shape)}")

    @property
    def best(self) -> EpochRow | None:
        """The row of the best epoch."""
        return next((row for row in self.epochs if row.epoch == self.best_epoch), None)


def _check_picture(image: npt.NDArray[np.uint8], what: str) -> None:
    shaped = image.ndim == 3 and image.shape[2] in (1, 3) and image.size > 0
    if image.dtype != np.uint8 or not shaped:
        raise ValueError(
            f"{what} is not a picture: expected uint8 [H, W, 1 or 3], got {image.dtype} {list(image.shape)}"
        )
