"""How a trained net does on data that chose nothing about it.

The model file carries its preprocessing, so the images are read exactly as they were in training. On the data of its
own run, the run's config says how they were split, and the held-out part is the same images as then.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from striate.data import Dataset, Loader, Preprocess, Samples
from striate.errors import StriateError, unknown
from striate.nets.trained import is_published, load_trained
from striate.tasks import Classification, ClassificationMetrics, decode_all
from striate.train import RunFolder, Settings
from striate.train.resolve import open_data

__all__ = ["Evaluation", "evaluate", "model_path"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measures of one part of a data set. seconds: of reading, preprocessing and computing all of it."""

    model: Path
    data: str
    part: str
    classes: tuple[str, ...]
    metrics: ClassificationMetrics
    seconds: float


def model_path(model: str | Path) -> Path:
    """The model file that a run folder or a path names, or the name of a net with published weights as it stands.

    Raises StriateError when there is none, or none yet.
    """
    path = Path(model)
    if path.is_dir():
        file = RunFolder.open(path).model
        if not file.is_file():
            raise StriateError(f"{path} has no model yet, its first epoch is not done; continue it: --resume {path}")
        return file
    if not path.exists() and not is_published(str(model)):
        raise StriateError(f"no model file or run {path}, and no published weights of that name")
    return path


def evaluate(
    model: str | Path,
    data: str | None = None,
    *,
    part: str | None = None,
    data_dir: str | None = None,
    batch_size: int = 64,
    workers: int = 2,
    device: str = "cpu",
    classes: Sequence[str] = (),
    offline: bool = False,
) -> Evaluation:
    """Measure a model file, or a run's best model, on a part of its own data or of others.

    `data` defaults to the run's own; `part` ("train", "val", "test") defaults to the one that chose least: test, else
    validation. Other data need the model's class names, in any order, and may lack some; `classes` gives it others.
    `offline` fetches no weights. Computes in float32.

    Raises StriateError when there is no such model, part or class.
    """
    path = model_path(model)
    net, card = load_trained(path, classes=classes, offline=offline)
    settings = _settings_of(model, data or card.data)
    if data_dir is not None:
        settings = settings.replace(data_dir=data_dir)
    opened = open_data(settings)
    name, samples = _part(opened, part)
    samples = _with_labels_of(samples, opened.classes, tuple(card.classes), opened.name)
    task = Classification(tuple(card.classes))
    loader = Loader(samples, Preprocess.from_dict(dict(card.preprocess)), batch_size=batch_size, workers=workers)
    started = time.perf_counter()
    probabilities, labels = decode_all(net.to(device), task, loader.epoch(0), torch.device(device))
    metrics = task.metrics(probabilities, labels)
    seconds = time.perf_counter() - started
    return Evaluation(model=path, data=settings.data, part=name, classes=task.classes, metrics=metrics, seconds=seconds)


def _settings_of(model: str | Path, data: str) -> Settings:
    """How to read and split: as the run did when these are its data, by the defaults otherwise."""
    folder = Path(model) if Path(model).is_dir() else Path(model).parent
    if (folder / "config.toml").is_file():
        settings = RunFolder.open(folder).settings()
        if settings.data == data:
            return settings
    return Settings(data=data)


def _part(data: Dataset, name: str | None) -> tuple[str, Samples]:
    parts = {
        name: part for name, part in (("test", data.test), ("val", data.val), ("train", data.train)) if part is not None
    }
    name = name or next(iter(parts))
    if name not in parts:
        raise StriateError(unknown(f"part of {data.name}", name, parts))
    return name, parts[name]


def _with_labels_of(samples: Samples, classes: tuple[str, ...], wanted: tuple[str, ...], name: str) -> Samples:
    """The samples, labelled with the model's class numbers."""
    if classes == wanted:
        return samples
    foreign = [cls for cls in classes if cls not in wanted]
    if foreign:
        raise StriateError(f"data {name} has class {foreign[0]!r}, which the model does not know: it knows {wanted}")
    table = np.array([wanted.index(cls) for cls in classes], np.int64)
    labels = table[samples.labels]
    return samples.relabelled(labels)
