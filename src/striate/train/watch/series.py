"""What a run recorded, as series that rules can read: built from `log.jsonl`, line by line, by whoever reads it.

The run itself, `striate watch` and the report read the same lines through the same door, so all three say the same.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from striate.train.log import record_of

__all__ = ["Epoch", "LogTail", "Look", "Series", "Step"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The loss of one logged update."""

    step: int
    epoch: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: what `striate.train.report.EpochRow` holds, as far as rules ask; predicted: the share of the
    validation images that got the commonest answer, None in older logs."""

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float
    wait: float
    waits: Mapping[str, float]
    predicted: float | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the layers, in the order of the net. weights: {name, gradient, ratio, rms}; activations: {name, kind,
    units, mean, deviation, zeros, dead, saturated, broken}; norms: {name, shift, scale}; histograms in some looks."""

    step: int
    epoch: int
    learning_rate: float
    gradient: float
    weights: tuple[Mapping[str, Any], ...]
    activations: tuple[Mapping[str, Any], ...]
    norms: tuple[Mapping[str, Any], ...]

    @property
    def ratio(self) -> float | None:
        """The middle layer's ratio of update to weight."""
        ratios = sorted(float(layer["ratio"]) for layer in self.weights if layer["ratio"] is not None)
        return ratios[len(ratios) // 2] if ratios else None


@dataclass(kw_only=True)
class Series:
    """Everything recorded so far. facts: of the run (classes, chance_loss, lr, noise, …), empty in older logs."""

    facts: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # illnesses that the run has named already
    sick: dict[str, Any] | None = None  # the loss that ended the run
    end: dict[str, Any] | None = None

    def add(self, records: Iterable[Mapping[str, Any]]) -> "Series":
        """Take more records in; those of unknown kind are passed over. `start` begins a log, and us anew."""
        for record in records:
            match record.get("event"):
                case "start":
                    self.facts = dict(record.get("facts", {}))
                    self.steps, self.epochs, self.looks, self.said = [], [], [], []
                    self.sick = self.end = None
                case "step":
                    self.steps.append(Step(step=record["step"], epoch=record["epoch"], loss=_number(record["loss"])))
                case "epoch":
                    self.epochs.append(_epoch(record))
                case "watch":
                    self.looks.append(_look(record))
                case "diagnosis":
                    self.said.append(record["illness"])
                case "sick":
                    self.sick = dict(record)
                case "end":
                    self.end = dict(record)
        return self


class LogTail:
    """Reads a log as it grows: each call of `more` gives the whole lines that have come since."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = Path(path), 0
        self._last = b""  # the line that ends where we are: what a log that was cut back has no longer there

    def more(self) -> list[dict[str, Any]]:
        """New records; a line still being written waits for the next call. A log cut back by a resume is read anew,
        from its `start` on."""
        records: list[dict[str, Any]] = []
        with self._path.open("rb") as file:
            file.seek(self._at - len(self._last))
            if file.read(len(self._last)) != self._last:
                self._at, self._last = file.seek(0), b""
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._at, self._last = self._at + len(line), line
                if (record := record_of(line)) is not None:
                    records.append(record)
        return records


def _epoch(record: Mapping[str, Any]) -> Epoch:
    return Epoch(
        epoch=record["epoch"],
        step=record["step"],
        train_loss=_number(record["train_loss"]),
        train_accuracy=record["train_accuracy"],
        val_loss=record.get("val_loss"),
        val_accuracy=record.get("val_accuracy"),
        learning_rate=record["learning_rate"],
        seconds=record["seconds"],
        wait=record["data_wait_share"],
        waits=record.get("waits", {}),
        predicted=record.get("predicted"),
    )


def _look(record: Mapping[str, Any]) -> Look:
    return Look(
        step=record["step"],
        epoch=record["epoch"],
        learning_rate=record["learning_rate"],
        gradient=_number(record["gradient"]),
        weights=tuple(record["weights"]),
        activations=tuple(record["activations"]),
        norms=tuple(record["norms"]),
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
