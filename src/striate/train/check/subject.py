"""What is checked: a net as a run would begin with it, and real training images as a run would show them."""

import copy
import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from striate.data import Dataset, Loader, Preprocess
from striate.tasks import Classification
from striate.train.settings import Settings

__all__ = ["Budget", "Subject", "quietly"]

POOL_NBYTES = 48 << 20  # float32: 3,000 grey images of 64×64, 80 of 224×224×3
POOL_MOST, POOL_LEAST = 1000, 64  # images: as many as the test of the labels has a use for; as few as a batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """The net, and a pool of images [N, C, h, w] with labels [N], drawn from the training part by the seed.

    A check works on a copy of the net (`fresh`) and leaves the pool as it is.
    """

    settings: Settings
    net: nn.Module
    data: Dataset
    preprocess: Preprocess
    task: Classification
    images: Tensor
    labels: Tensor
    trained: bool  # weights that have learnt: the first loss is no guess's

    @classmethod
    def of(
        cls, settings: Settings, net: nn.Module, data: Dataset, preprocess: Preprocess, *, trained: bool = False
    ) -> "Subject":
        """With images that are read now. `settings` are resolved."""
        nbytes = 4 * preprocess.channels * preprocess.size[0] * preprocess.size[1]
        count = min(len(data.train), max(POOL_LEAST, min(POOL_MOST, POOL_NBYTES // nbytes)))
        drawn = np.random.default_rng(settings.seed).permutation(len(data.train))[:count]
        loader = Loader(data.train.subset(drawn), preprocess, batch_size=count, workers=settings.workers)
        ((images, labels, _),) = loader.epoch(0)
        return cls(
            settings=settings,
            net=net,
            data=data,
            preprocess=preprocess,
            task=Classification(data.classes),
            images=images,
            labels=labels,
            trained=trained,
        )

    @property
    def classes(self) -> int:
        """How many the net tells apart."""
        return len(self.data.classes)

    def fresh(self) -> nn.Module:
        """A copy of the net to do anything with, in training mode."""
        return copy.deepcopy(self.net).train()

    def batch(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """The first images of the pool; by default as many as a step of the run has."""
        count = self.settings.batch_size if count is None else count
        return self.images[:count], self.labels[:count]


class Budget:
    """Seconds that a check may take; what it has done by then it reports."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, none at the least."""
        return max(0.0, self._end - time.monotonic())

    @property
    def spent(self) -> bool:
        """Whether they are over."""
        return self.left == 0.0


@contextmanager
def quietly(seed: int) -> Iterator[None]:
    """torch's generators seeded inside, and as they were outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
