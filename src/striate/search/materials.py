"""What the trials of one process share: the data, opened and decoded once, and what was fitted to them.

Images that fit in memory are decoded before the first trial. Where all have one size they become one array, from which
a batch is cut in a single native call; what a trial computes does not change by a bit, since decoding is all that was
done.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from striate.data import ArraySamples, Preprocess, Samples
from striate.data.memory import available_nbytes
from striate.data.samples import DecodedSamples
from striate.errors import StriateError
from striate.nets import Net
from striate.train import Settings
from striate.train.colours import Colours
from striate.train.progress import Silent
from striate.train.resolve import open_data
from striate.train.run import choose_preprocess
from striate.train.same import fingerprint

__all__ = ["Materials", "decoded"]

SHARE = 4  # of the memory that is available: training's own, and other processes', come on top
CHUNK = 64  # images a thread decodes at a time


@final
class Materials:
    """The data that `settings` name. `processes`: how many divide this machine's memory."""

    def __init__(self, settings: Settings, *, processes: int = 1) -> None:
        """Raises StriateError where there is no validation part to choose by."""
        data = open_data(settings)
        if data.val is None:
            raise StriateError(
                f"data {data.name}: a search chooses by validation images; give --val-fraction, e.g. 0.1"
            )
        self.fingerprint = fingerprint(data)
        channels = settings.channels or int(getattr(data.train, "channels", 3))
        budget = available_nbytes() // (SHARE * processes)
        train = decoded(data.train, channels, budget * 4 // 5, settings.workers)
        val = decoded(data.val, channels, budget // 5, settings.workers)
        self.data = dataclasses.replace(data, train=train, val=val, test=None)  # a search has no business with it
        self._colours: dict[tuple[Any, ...], Colours] = {}

    def colours(self, settings: Settings) -> Colours:
        """What a run of its own would fit to the images; once for all trials that read them alike."""
        key = (settings.channels, settings.size, settings.resize)
        if key not in self._colours:
            self._colours[key] = Colours(settings, self.data)
        return self._colours[key]

    def preprocess(self, settings: Settings, net: Net) -> Preprocess:
        """As a run of its own would choose it."""
        return choose_preprocess(settings, self.colours(settings), net, Silent())


def decoded(samples: Samples, channels: int, budget: int, threads: int) -> Samples:
    """The same samples in memory, where they fit into `budget` bytes; as they are otherwise, or when they lie there."""
    if samples.held or len(samples) == 0:
        return samples
    first = samples.pixels(0, channels)
    if first.nbytes * len(samples) > 4 * budget:  # plainly too many, without decoding them
        return samples

    def images(start: int) -> list[NDArray[np.uint8]]:
        return [samples.pixels(i, channels) for i in range(start, min(start + CHUNK, len(samples)))]

    found: list[NDArray[np.uint8]] = []
    nbytes = 0
    with ThreadPoolExecutor(max(1, threads), "striate-decode") as pool:
        for chunk in pool.map(images, range(0, len(samples), CHUNK)):
            nbytes += sum(image.nbytes for image in chunk)
            if nbytes > budget:
                pool.shutdown(cancel_futures=True)
                return samples
            found += chunk
    names = [samples.key(i) for i in range(len(samples))]
    if all(image.shape == first.shape for image in found):
        return ArraySamples(np.stack(found), samples.labels, names)
    return DecodedSamples(found, samples.labels, names)
