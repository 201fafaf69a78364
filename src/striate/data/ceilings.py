"""How fast each stage of loading could go if it were alone: its ceiling, in images per second.

The same few hundred images go through reading, then, out of memory, through the loader, whose threads stop the time of
decoding and of noise; then through the loader as it is. The lowest ceiling is what to mend, and by how much the loader
stays below it is what the stages lose to each other.

Decoding and noise are timed where a run does both, because each depends on the other: how much a map shrinks says at
which fraction a JPEG is decoded, and that says how large an image is resampled; and what is resized once and kept is
decoding, whoever does it.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from striate.data.badimage import BadImage
from striate.data.decoding import decode
from striate.data.loader import Loader
from striate.data.noise import DrawsWindows
from striate.data.preprocess import Preprocess
from striate.data.samples import DecodedSamples, EncodedSamples, Samples, checked_labels
from striate.errors import StriateError

__all__ = ["Ceiling", "ceilings"]

MOST_NBYTES = 256 << 20  # of decoded images held for the measurement


@dataclass(frozen=True)
class Ceiling:
    """stage: "read", "decode", "augment", "transfer", "loader" (all of them together) or "compute"."""

    stage: str
    images_per_second: float


def ceilings(
    samples: Samples,
    preprocess: Preprocess,
    *,
    policy: DrawsWindows | None = None,
    batch_size: int = 64,
    workers: int = 2,
    device: torch.device | None = None,
    step: Callable[[torch.Tensor], object] | None = None,
    images: int = 512,
    seconds: float = 1.0,
    note: Callable[[str], object] = lambda _: None,
) -> list[Ceiling]:
    """Each stage that these samples have, measured for about `seconds`; `step` computes on a batch [B, C, h, w].

    At most `images` are looked at, spread over the set. What was read once comes from the system's memory the next
    time, so reading is measured in its first pass, and never repeated. Images that cannot be decoded are told to `note`
    and left out. Raises StriateError where all of them are.
    """
    threads = max(1, workers)
    chosen = samples.subset(np.arange(min(images, len(samples))) * len(samples) // min(images, len(samples)))
    found: list[Ceiling] = []
    files: list[bytes] = []
    names: list[str] = []
    with ThreadPoolExecutor(threads, "striate-ceiling") as pool:
        if isinstance(chosen, EncodedSamples):
            begun = time.perf_counter()
            read = list(pool.map(partial(_or_refusal, chosen.read), range(len(chosen))))
            found.append(Ceiling("read", len(read) / (time.perf_counter() - begun)))
            names = [chosen.name(i) for i in range(len(chosen))]
            good = []
            for i, refusal in enumerate(pool.map(partial(_refusal, preprocess.channels), read, names)):
                if refusal is None:
                    good.append(i)
                else:
                    note(f"left out: {refusal}")
            if not good:
                raise StriateError(f"none of the {len(read)} images looked at can be read: nothing to measure")
            chosen = chosen.subset(good)
            files = [data for data in (read[i] for i in good) if isinstance(data, bytes)]
            names = [names[i] for i in good]
        else:
            begun = time.perf_counter()

            def touched(i: int) -> int:
                return int(chosen.pixels(i, preprocess.channels)[..., 0].max())  # mapped: read, in packs summed, now

            list(pool.map(touched, range(len(chosen))))
            found.append(Ceiling("read", len(chosen) / (time.perf_counter() - begun)))
    batch_size = min(batch_size, len(chosen))

    def loader_of(part: Samples, workers: int, where: torch.device | None) -> Loader:
        return Loader(
            part, preprocess, batch_size=batch_size, policy=policy, shuffle=True, workers=workers, cache_nbytes=0,
            device=where,
        )  # fmt: skip

    def loaded(part: Samples, where: torch.device | None) -> Callable[[], int]:
        loader = loader_of(part, workers, where)

        def epoch() -> int:
            done = sum(len(batch.labels) for batch in loader.epoch(0))
            if where is not None and where.type == "cuda":
                torch.cuda.synchronize(where)  # of batches made there
            return done

        return epoch

    if isinstance(chosen, EncodedSamples):
        found += _at_work(loader_of(_Read(files, names), threads, None), threads, 2 * seconds)
    else:
        found.append(Ceiling("augment", _repeated(loaded(_some_of(chosen, preprocess.channels), None), seconds)))
    shape = (batch_size, preprocess.channels, *preprocess.size)
    if device is not None and device.type == "cuda":
        batch = torch.empty(shape, pin_memory=True)
        found.append(Ceiling("transfer", _repeated(_sent(batch, device), seconds)))
    found.append(Ceiling("loader", _repeated(loaded(chosen, device), seconds)))
    if step is not None:
        example = torch.zeros(shape, device=device)
        found.append(Ceiling("compute", _repeated(_computed(step, example), seconds)))
    return found


def _at_work(loader: Loader, threads: int, seconds: float) -> list[Ceiling]:
    """Of decoding and of noise: what all `threads` would make if they did nothing else."""

    def images(epoch: int) -> int:
        return sum(len(batch.labels) for batch in loader.epoch(epoch))

    images(0)  # not counted
    loader.stages.drain()
    begun, done, epoch = time.perf_counter(), 0, 0
    while done == 0 or time.perf_counter() - begun < seconds:
        epoch += 1
        done += images(epoch)
    spent = loader.stages.drain()  # seconds, summed over the threads
    return [Ceiling(stage, done * threads / spent[stage]) for stage in ("decode", "augment")]


def _some_of(samples: Samples, channels: int) -> DecodedSamples:
    """The first of them, as many as may be held."""
    pixels: list[NDArray[np.uint8]] = []
    held_nbytes = 0
    for i in range(len(samples)):
        pixels.append(samples.pixels(i, channels))
        held_nbytes += pixels[-1].nbytes
        if held_nbytes > MOST_NBYTES:
            break
    count = len(pixels)
    return DecodedSamples(pixels, samples.labels[:count], [samples.name(i) for i in range(count)])


def _or_refusal(read: Callable[[int], bytes], i: int) -> bytes | BadImage:
    try:
        return read(i)
    except BadImage as error:
        return error


def _refusal(channels: int, data: bytes | BadImage, name: str) -> BadImage | None:
    """Why what was read, or could not be, is no image; None where it is one."""
    if isinstance(data, BadImage):
        return data
    try:
        decode(data, channels, name)
    except BadImage as error:
        return error
    return None


def _repeated(run: Callable[[], int], seconds: float) -> float:
    """Images per second of `run`, which says how many it did; the first time is not counted."""
    run()
    done, begun = 0, time.perf_counter()
    while True:
        done += run()
        elapsed = time.perf_counter() - begun
        if elapsed >= seconds:
            return done / elapsed


def _sent(batch: torch.Tensor, device: torch.device) -> Callable[[], int]:
    def run() -> int:
        batch.to(device, non_blocking=True)
        torch.cuda.synchronize(device)
        return len(batch)

    return run


def _computed(step: Callable[[torch.Tensor], object], example: torch.Tensor) -> Callable[[], int]:
    def run() -> int:
        step(example)
        if example.device.type == "cuda":
            torch.cuda.synchronize(example.device)
        return len(example)

    return run


@final
class _Read(EncodedSamples):
    """Files whose bytes lie in memory."""

    def __init__(self, files: Sequence[bytes], names: Sequence[str]) -> None:
        self._files, self._names = files, names
        self.labels = checked_labels(np.zeros(len(files)), len(files))

    def read(self, i: int) -> bytes:
        return self._files[i]

    def name(self, i: int) -> str:
        return self._names[i]

    def key(self, i: int) -> str:
        return self._names[i]

    def subset(self, indices: ArrayLike) -> Self:
        chosen = np.asarray(indices).tolist()
        return type(self)([self._files[i] for i in chosen], [self._names[i] for i in chosen])
