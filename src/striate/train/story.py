"""A finished run as the record its report is made from."""

import math
import platform
import resource
import shlex
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import striate
from striate import _native
from striate.data import Dataset, Preprocess, Samples, class_counts
from striate.data.members import members_of
from striate.data.preprocess import centre_windows
from striate.nets import layer_table
from striate.tasks import ClassificationMetrics
from striate.train.log import read_log
from striate.train.report import Bins, DataSummary, EpochRow, Example, LayerLine, Mistake, RunRecord, Scored, Watched
from striate.train.settings import Settings
from striate.train.watch import Series, diagnose

__all__ = ["history", "peak_memory_nbytes", "repeat_command", "run_record", "scored"]

EXAMPLES, MISTAKES = 48, 24  # pictures; the page shows as many of the examples as suit the number of classes


def history(folder: Path) -> tuple[EpochRow, ...]:
    """The epochs of a run, from its log."""
    names = EpochRow.__dataclass_fields__
    return tuple(
        EpochRow(**{name: record[name] for name in names if name in record})
        for record in read_log(folder)
        if record["event"] == "epoch"
    )


def run_record(
    folder: Path,
    *,
    settings: Settings,
    data: Dataset,
    net: nn.Module,
    preprocess: Preprocess,
    best_epoch: int | None,
    outcome: str,
    sentence: str,
    final: Scored | None,
    seconds: float,
) -> RunRecord:
    """Everything the report tells, gathered from the run's folder, its data and its net."""
    records, epochs = read_log(folder), history(folder)
    if best_epoch not in {row.epoch for row in epochs}:  # of a log that was lost in part
        best_epoch = None
    started = next((record["started"] for record in records if record["event"] == "start"), "")
    return RunRecord(
        name=folder.name,
        command=repeat_command(folder),
        settings={name: value for name, value in vars(settings).items() if value is not None},
        net=settings.model,
        data=_summary(data, preprocess, settings.data),
        epochs=epochs,
        steps=tuple(_steps(records)),
        best_epoch=best_epoch,
        outcome=outcome,
        outcome_note=sentence.removeprefix(f"{outcome} "),  # "diverged at step 3: …"
        final=final,
        filters=_first_filters(net),
        layers=tuple(
            LayerLine(
                name=row.name,
                kind=row.kind,
                output_shape=tuple(row.output_shape),
                params=row.params,
                macs=row.macs,
            )
            for row in layer_table(net, (preprocess.channels, *preprocess.size))
        ),
        seconds=seconds,
        peak_memory_nbytes=peak_memory_nbytes(),
        watched=_watched(records) if settings.watch else None,
        machine=_machine(settings),
        versions={"striate": striate.__version__, "torch": torch.__version__, "python": platform.python_version()},
        started=started,
    )


def scored(
    part: str,
    samples: Samples,
    preprocess: Preprocess,
    classes: tuple[str, ...],
    probabilities: NDArray[np.float32],
    metrics: ClassificationMetrics,
) -> Scored:
    """A part's measures, with the most confident mistakes as pictures. probabilities: float32 [N, K]."""
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != samples.labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:MISTAKES]
    return Scored(
        part=part,
        samples=metrics.samples,
        accuracy=metrics.accuracy,
        top5=metrics.top5,
        loss=metrics.loss,
        confusion=metrics.confusion.astype(np.int64),
        mistakes=tuple(
            Mistake(
                image=_picture(samples, int(index), preprocess),
                name=samples.key(int(index)),  # the page need not say where the folder lies
                truth=classes[samples.labels[index]],
                predicted=classes[predicted[index]],
                probability=float(probabilities[index, predicted[index]]),
            )
            for index in worst
        ),
    )


def repeat_command(folder: Path) -> str:
    """What to type to train the same run again: its resolved config, under a new name."""
    return shlex.join(["striate", "train", "--config", str(folder / "config.toml"), "--name", f"{folder.name}-again"])


def peak_memory_nbytes() -> int:
    """The largest resident size of this process so far (getrusage counts KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _steps(records: list[dict[str, Any]]) -> Iterator[tuple[int, float]]:
    """(step, loss) as logged, and last the one that ended the run, which is what its chart is looked at for."""
    for record in records:
        if record["event"] in ("step", "sick"):
            yield record["step"], float(record["loss"])  # of a sick one perhaps "nan" or "inf"


def _watched(records: list[dict[str, Any]]) -> Watched:
    """What the watch wrote, as the report draws it."""
    series = Series().add(records)
    looks = [look for look in series.looks if math.isfinite(look.gradient)]
    drawn = [look for look in looks if look.weights and "histogram" in look.weights[0]]
    worst = [max((a["dead"] or a["saturated"] or 0.0 for a in look.activations), default=0.0) for look in looks]
    return Watched(
        ailments=tuple((one.illness, one.evidence, one.remedy) for one in diagnose(series)),
        steps=tuple(look.step for look in looks),
        gradient=tuple(look.gradient for look in looks),
        ratios=tuple(tuple(layer["ratio"] for layer in look.weights if layer["ratio"]) for look in looks),
        unfit=tuple(worst),
        shifts=tuple(statistics.median(n["shift"] or 0.0 for n in look.norms) for look in looks)
        if looks and all(look.norms for look in looks)
        else (),
        moments=tuple(look.step for look in drawn),
        weights=_histograms([look.weights for look in drawn]),
        outputs=_histograms([look.activations for look in drawn]),
    )


def _histograms(looks: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, tuple[Bins, ...]]:
    """By layer, in the order of the first look."""
    names = [layer["name"] for layer in looks[0]] if looks else []
    found = [{layer["name"]: layer["histogram"] for layer in look} for look in looks]
    return {
        name: tuple(
            Bins(low=h["low"], high=h["high"], counts=tuple(h["counts"]))
            for h in (look.get(name) for look in found)
            if h is not None and h["low"] is not None and h["high"] is not None
        )
        for name in names
    }


def _summary(data: Dataset, preprocess: Preprocess, spec: str) -> DataSummary:
    counts = {name: tuple(class_counts(part, data.classes).values()) for name, part in data.parts.items()}
    return DataSummary(
        name=data.name,
        spec=spec,
        classes=data.classes,
        counts=counts,
        notes=data.notes,
        examples=_examples(data, preprocess),
    )


def _examples(data: Dataset, preprocess: Preprocess) -> tuple[Example, ...]:
    """Training images in turns, one class after another, until there are enough."""
    by_class = members_of(data.train.labels).values()
    turns = [indices[turn] for turn in range(EXAMPLES) for indices in by_class if turn < len(indices)]
    return tuple(
        Example(image=_picture(data.train, int(index), preprocess), label=data.classes[data.train.labels[index]])
        for index in turns[:EXAMPLES]
    )


def _picture(samples: Samples, index: int, preprocess: Preprocess) -> NDArray[np.uint8]:
    """What the net sees of an image, before normalisation: its centre window."""
    base = preprocess.base(samples.pixels(index, preprocess.channels))
    height, width = preprocess.size
    top, left, _ = centre_windows(np.array([base.shape[:2]], np.int32), (height, width))[0]
    return base[top : top + height, left : left + width]


def _first_filters(net: nn.Module) -> NDArray[np.float32] | None:
    first = next((module for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        return None
    filters: NDArray[np.float32] = first.weight.detach().float().cpu().contiguous().numpy()
    return filters


def _machine(settings: Settings) -> dict[str, str]:
    return {
        "device": settings.device,
        "instruction set": _native.isa(),
        "threads": f"{settings.threads} compute, {settings.workers} loading",
        "precision": settings.precision,
        "memory format": "channels-last" if settings.channels_last else "NCHW",
        "system": platform.platform(),
    }
