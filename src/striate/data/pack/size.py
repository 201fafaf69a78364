"""The size that images are packed at: the short side, or height and width."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.data.preprocess import Preprocess, centre_windows
from striate.errors import StriateError

__all__ = ["PackSize"]


@dataclass(frozen=True)
class PackSize:
    """`short`: the short side becomes this many px, the aspect stays, smaller images stay as they are. `exact`: every
    image is scaled to cover height × width, and the middle is kept. Antialiased, bilinear, in both cases.
    """

    short: int | None = None
    exact: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "PackSize":
        """From `256` or `224x320` (height, width). Raises StriateError for anything else.

        >>> PackSize.parse("256"), str(PackSize.parse("224x320"))
        (PackSize(short=256, exact=None), '224x320')
        """
        found = re.fullmatch(r"([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?", text.strip())
        if found is None:
            raise StriateError(f"--size {text}: give the short side in px, as 256, or height x width, as 224x224")
        return cls(short=int(found[1])) if found[2] is None else cls(exact=(int(found[1]), int(found[2])))

    def __str__(self) -> str:
        return str(self.short) if self.exact is None else "x".join(map(str, self.exact))

    def applied(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8[H, W, C] at this size."""
        height, width, channels = image.shape
        if self.short is not None and min(height, width) <= self.short:
            return image
        h, w = self.exact or (self.short or 1, self.short or 1)
        neutral = Preprocess(channels=channels, size=(h, w), mean=(0.0,) * channels, std=(1.0,) * channels)
        base = neutral.base(image)
        if self.exact is None:
            return base
        top, left, _ = centre_windows(np.array([base.shape[:2]], np.int32), (h, w))[0].tolist()
        return base[top : top + h, left : left + w]
