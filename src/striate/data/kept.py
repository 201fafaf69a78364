"""Images that were made once and may be asked for again, as many as a budget of bytes allows.

Nothing is ever thrown out: every image comes once an epoch, so any kept image is as good as any other, and memory stays
flat from the second epoch on (docs/design/loader.md).
"""

import threading
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kept"]


@final
class Kept:
    """Images by number, from any thread."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._images: dict[int, NDArray[np.uint8]] = {}
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the images kept so far."""
        return self._nbytes

    def get(self, i: int) -> NDArray[np.uint8] | None:
        """Image `i` where it was kept."""
        return self._images.get(i)

    def keep(self, i: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Keep `image` if there is room, and return it."""
        with self._lock:
            if self._nbytes + image.nbytes <= self._budget and i not in self._images:
                if isinstance(image.base, np.ndarray):
                    image = image.copy()  # a view would keep the whole image it looks into
                self._images[i] = image
                self._nbytes += image.nbytes
        return image
