"""Images as a net is shown them: decoded once, resized once a scale, cut into views, by threads ahead of the net."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.data import Samples
from striate.data.prefetch import Ahead, Job
from striate.errors import StriateError
from striate.train.looks import Bases, Looks, Rows

__all__ = ["rows_ahead"]

AHEAD = 3  # batches made before they are wanted
PARTS = 8  # that the threads share a batch in: a ticket an image would cost more than a small image does


@contextlib.contextmanager
def rows_ahead(
    images: Samples, chunks: Sequence[range], looks: Sequence[Looks], *, workers: int
) -> Iterator[Iterator[list[list[Rows]]]]:
    """For each chunk of image numbers, the rows of every one of `looks`; no workers: made when asked for.

    Raises StriateError, naming it, for an image that cannot be read.
    """

    def job(k: int) -> _Chunk:
        return _Chunk(images, chunks[k], looks)

    if workers == 0:
        yield (job(k).run() for k in range(len(chunks)))
        return
    with contextlib.closing(Ahead(job, len(chunks), workers, AHEAD)) as ahead:
        yield ahead


@final
class _Chunk(Job[list[list[Rows]]]):
    """The rows of a few images, however they are fed to a net: decoded and resized in parts, then cut."""

    def __init__(self, images: Samples, numbers: range, looks: Sequence[Looks]) -> None:
        self.parts = min(len(numbers), PARTS)
        self._images = images
        self._numbers = numbers
        self._looks = looks
        self._bases: list[list[Bases]] = [[{}] * len(numbers) for _ in looks]

    def part(self, j: int) -> None:
        for row in range(j, len(self._numbers), self.parts):
            i = self._numbers[row]
            pixels = {channels: self._read(i, channels) for channels in {looks.channels for looks in self._looks}}
            for looks, bases in zip(self._looks, self._bases, strict=True):
                bases[row] = looks.bases(pixels[looks.channels])

    def finish(self) -> list[list[Rows]]:
        return [looks.rows(bases) for looks, bases in zip(self._looks, self._bases, strict=True)]

    def _read(self, i: int, channels: int) -> NDArray[np.uint8]:
        try:
            return self._images.pixels(i, channels)
        except OSError as error:
            raise StriateError(f"cannot read {self._images.name(i)}: {error.strerror or error}") from error
