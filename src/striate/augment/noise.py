"""The contract of a noise: what training draws, and what testing averages instead.

*Training adds noise, testing marginalises over it.* So every noise states both halves. For training it turns random
words into a part of a scene: a matrix, a colour, a step. For testing it lists the views that stand for its whole
distribution, with weights that sum to 1. The average over views is one of probabilities, not of logits, and is the
evaluator's to take.

Draws are functions, not states: the words of a sample are Philox4x32-10 of (seed, epoch, sample, stream) (Salmon 2011).
Every kind of noise owns a stream, so adding one to a policy leaves what the others draw as it was. Streams below 16
belong to the data room (0 is the order of an epoch); noises count from 16. A noise that needs more than four words a
sample takes `blocks` of them, block b from stream + 256·b.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.augment.scene import Scene
from striate.augment.view import View

__all__ = ["BLOCK_STRIDE", "Framing", "Noise", "Unbiased", "WindowNoise", "Words"]

Words: TypeAlias = NDArray[np.uint32]  # [B, 4 · blocks]: the random words of each sample

BLOCK_STRIDE = 256  # streams from a noise's one block of words to its next: more kinds than this there will not be


class Noise(ABC):
    """One kind of noise. Subclasses are final."""

    stream: ClassVar[int]  # the Philox stream this kind of noise draws from; no two kinds share one
    blocks: ClassVar[int] = 1  # of four words a sample
    steps: ClassVar[bool] = False  # whether it may give a sample a step: then all of its policy's are made for one

    @abstractmethod
    def draw(self, scene: Scene, words: Words) -> None:
        """Training: add this noise to a scene of B samples, from `words` [B, 4 · blocks]."""

    @abstractmethod
    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        """Testing: the views that replace `view` for an output of `out`; their weights sum to `view.weight`."""


class Framing(Noise):
    """A noise that chooses the rectangle of the source that is looked at, in place of the evaluator's frame.

    It stands first in a policy: whatever stood before it would be thrown away.
    """


class Unbiased(Noise):
    """A noise spread about its own absence: testing looks at the image as it is, in the middle of the distribution."""

    @final
    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        return (view,)


class WindowNoise(Noise):
    """A noise that moves a window by whole pixels or mirrors it, and so needs no resampling of the base image.

    A window is a row (top, left, flip): the corner of an h×w crop in the base image's own pixels (negative, or beyond
    the far side, where the crop reaches into the padding), and 1 when the crop is mirrored left to right.
    """

    @abstractmethod
    def window(self, windows: NDArray[np.int32], words: Words, sizes: NDArray[np.int32], out: tuple[int, int]) -> None:
        """Write this noise's part of `windows` [B, 3]; `sizes` [B, 2] are the bases' (height, width), `out` the crop's.

        The same window, from the same words, as `draw` gives the scene.
        """
