"""Which images a run's epochs hold: from the settings to what the loader is told, and one rank's share of them."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from striate.data import Dataset, Samples
from striate.data.sampling import Sampling, check_sampling
from striate.data.weights import read_weights, sample_weights
from striate.errors import StriateError, UnknownName, unknown
from striate.train.settings import Settings

__all__ = ["describe_sampling", "drawn_from", "ranked", "sampling_of", "with_ranks", "with_weights"]

NAMED = ("all", "balanced")


def with_weights(settings: Settings, data: Dataset) -> Settings:
    """The settings with the weights of a file written into them, so that a resumed run draws what it drew.

    Raises StriateError for a law that is none, a file that cannot be used, weights that name what is not there.
    """
    law = settings.sampling
    if law in NAMED:
        return settings
    if law == "own":
        if not settings.sample_weights:
            raise StriateError('sampling "own" needs a table [sample_weights] in the config; docs/data.md shows one')
    elif Path(law).suffix == ".csv":
        settings = settings.replace(sample_weights=read_weights(Path(law)))
    else:
        raise UnknownName(unknown("--sampling", law, (*NAMED, "own", "a CSV file")))
    check_sampling(sampling_of(settings, data), data.train.labels)
    return settings


def sampling_of(settings: Settings, data: Dataset) -> Sampling:
    """What the training part's loader is told, from settings that hold their weights."""
    if settings.sampling == "all":
        return "all"
    if settings.sampling == "balanced":
        return "balanced"
    return sample_weights(settings.sample_weights, data.train, data.classes)


def drawn_from(settings: Settings, data: Dataset) -> tuple[Samples, Sampling]:
    """What an epoch is drawn from, the training part as many times over as `repeat` says, and by which law."""
    law = sampling_of(settings, data)
    if settings.repeat == 1:
        return data.train, law
    over = data.train.subset(np.tile(np.arange(len(data.train)), settings.repeat))
    return over, law if isinstance(law, str) else np.tile(law, settings.repeat)


def describe_sampling(settings: Settings, data: Dataset) -> str:
    """What each class is among the images, and among the places of an epoch: a line for a person."""
    labels, count = data.train.labels, len(data.train)
    images = np.bincount(labels, minlength=len(data.classes))
    law = sampling_of(settings, data)
    balanced = 1 / images[labels]
    weights = balanced if isinstance(law, str) else np.asarray(law, np.float64)
    share = np.bincount(labels, weights, minlength=len(data.classes)) / weights.sum()
    rare, common = int(np.argmin(images)), int(np.argmax(images))
    told = ", ".join(
        f"{data.classes[k]!r} from {images[k] / count:.1%} of the images to {share[k]:.1%} of an epoch"
        for k in dict.fromkeys((rare, common))
    )
    return f"sampling {settings.sampling}: {told}"


# -------------------------------------------------------------------------------------------------------------- ranks


def with_ranks(settings: Settings, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings with rank and ranks settled: what they say, else torchrun's RANK and WORLD_SIZE, else one alone.

    A run of one of several ranks has the rank in its name, so that they may share --output.

    Raises StriateError when one is given without the other, or the rank is none of the ranks.
    """
    rank, ranks = settings.rank, settings.ranks
    if rank is None and ranks is None:
        rank, ranks = (_number(environment, name, alone) for name, alone in (("RANK", 0), ("WORLD_SIZE", 1)))
    if rank is None or ranks is None:
        raise StriateError("--rank and --ranks belong together: --rank 0 --ranks 2 is the first of two")
    if rank >= ranks:
        raise StriateError(f"--rank {rank}: of {ranks} ranks the last is {ranks - 1}")
    settings = settings.replace(rank=rank, ranks=ranks)
    return settings if settings.name is None else settings.replace(name=ranked(settings.name, settings))


def ranked(name: str, settings: Settings) -> str:
    """The name of this rank's run.

    >>> ranked("run", Settings()), ranked("run", Settings(rank=1, ranks=2))
    ('run', 'run-rank1')
    """
    return name if (settings.ranks or 1) == 1 else f"{name}-rank{settings.rank}"


def _number(environment: Mapping[str, str], name: str, alone: int) -> int:
    text = environment.get(name, str(alone))
    if not text.isdecimal():
        raise StriateError(f"{name}={text!r} in the environment is no rank; unset it, or give --rank and --ranks")
    return int(text)
