"""The contract of a noise: what training draws, and what testing averages instead.

*Training adds noise, testing marginalises over it.* So every noise states both halves. For training it turns random
words into windows; for testing it lists the views that stand for its whole distribution, with weights that sum to 1.
The average over views is one of probabilities, not of logits, and is the evaluator's to take.

A window is a row (top, left, flip): the corner of an h×w crop in the image's own pixels (negative, or beyond the far
side, where the crop reaches into the padding), and 1 when the crop is mirrored left to right.

Draws are functions, not states: the words of a sample are Philox4x32-10 of (seed, epoch, sample, stream) (Salmon 2011).
Every kind of noise owns a stream, so adding one to a policy leaves what the others draw as it was. Streams below 16
belong to the data room (0 is the order of an epoch); noises count from 16.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Noise", "Size", "View", "Windows", "Words"]

Size: TypeAlias = tuple[int, int]  # (height, width), px
Words: TypeAlias = NDArray[np.uint32]  # [B, 4]: the random words of each sample
Windows: TypeAlias = NDArray[np.int32]  # [B, 3]: top, left, flip


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to look at an image when testing: a window and the share of the average it carries."""

    top: int
    left: int
    flip: bool = False
    weight: float = 1.0


class Noise(ABC):
    """One kind of noise. Subclasses are final."""

    stream: ClassVar[int]  # the Philox stream this kind of noise draws from; no two kinds share one

    @abstractmethod
    def draw(self, windows: Windows, words: Words, sizes: NDArray[np.int32], out: Size) -> None:
        """Training: write this noise's part of `windows` [B, 3], from `words` [B, 4].

        `sizes` [B, 2] are the images' (height, width); `out` is the crop's.
        """

    @abstractmethod
    def views(self, view: View, size: Size, out: Size) -> tuple[View, ...]:
        """Testing: the views that replace `view` of an image of `size`; their weights sum to `view.weight`."""
