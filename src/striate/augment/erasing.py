"""Erase a rectangle of the output (Zhong 2017; DeVries 2017 calls a square of fixed size Cutout)."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from striate.augment.checks import check_pixels, check_probability, check_range
from striate.augment.draw import below, chance, log_uniform, uniform
from striate.augment.noise import Unbiased, Words
from striate.augment.scene import Scene

__all__ = ["Cutout", "RandomErasing"]


@final
@dataclass(frozen=True)
class RandomErasing(Unbiased):
    """With probability `p`, a rectangle of a share `scale` of the area, of aspect `ratio`, becomes the policy's mean.

    Sides are cut to the output's; every place is equally likely. Raises StriateError when a number is out of its range.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    stream: ClassVar[int] = 27
    blocks: ClassVar[int] = 2
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self, "p")
        check_range(self, "scale", 0.0, 1.0)
        check_range(self, "ratio", 1e-3, 1e3)

    def draw(self, scene: Scene, words: Words) -> None:
        rows = np.flatnonzero(chance(words[:, 0], self.p))
        words = words[rows]
        area = uniform(words[:, 1], *self.scale) * (scene.out[0] * scene.out[1])
        ratio = log_uniform(words[:, 2], *self.ratio)
        sides = np.rint(np.sqrt(np.stack([area / ratio, area * ratio], 1))).astype(np.int64)
        sides = np.minimum(sides, scene.out)
        corners = below(words[:, 3:5], np.array(scene.out) - sides + 1)
        scene.step("erase", rows, np.concatenate([corners, sides], 1).astype(np.float64))


@final
@dataclass(frozen=True)
class Cutout(Unbiased):
    """A square of `size` px, centred on any pixel of the output with equal chance, becomes the policy's mean.

    What lies beyond the output is cut off, as in DeVries 2017, §3.2. Raises StriateError unless `size` is 1 px or more.
    """

    size: int
    stream: ClassVar[int] = 28
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_pixels(self, "size", 1)

    def draw(self, scene: Scene, words: Words) -> None:
        first = below(words[:, :2], np.array(scene.out)) - self.size // 2
        low, high = np.maximum(first, 0), np.minimum(first + self.size, scene.out)
        scene.step("erase", np.arange(len(scene)), np.concatenate([low, high - low], 1).astype(np.float64))
