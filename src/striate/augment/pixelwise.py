"""Noise that no matrix can do: curves of brightness, blur, grain. Each is a step after the one resampling."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from striate.augment.checks import check_at_least, check_count, check_probability, check_range
from striate.augment.draw import chance, log_uniform, uniform
from striate.augment.noise import Unbiased, Words
from striate.augment.scene import Scene

__all__ = ["GaussianBlur", "GaussianNoise", "RandomEqualize", "RandomGamma", "RandomPosterize", "RandomSolarize"]


@final
@dataclass(frozen=True)
class RandomGamma(Unbiased):
    """255 (value / 255)^γ, γ log-uniform in `gamma`. Raises StriateError when the range is none."""

    gamma: tuple[float, float] = (0.7, 1.4)
    stream: ClassVar[int] = 29
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "gamma", 1e-2, 1e2)

    def draw(self, scene: Scene, words: Words) -> None:
        scene.step("gamma", np.arange(len(scene)), log_uniform(words[:, :1], *self.gamma))


@final
@dataclass(frozen=True)
class RandomSolarize(Unbiased):
    """With probability `p`, values from `threshold` up are inverted. Raises StriateError for numbers out of range."""

    threshold: float = 128.0
    p: float = 0.5
    stream: ClassVar[int] = 30
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_at_least(self, "threshold", 0.0, most=256.0)  # at 256 nothing is inverted
        check_probability(self, "p")

    def draw(self, scene: Scene, words: Words) -> None:
        rows = np.flatnonzero(chance(words[:, 0], self.p))
        scene.step("solarize", rows, np.full((len(rows), 1), float(self.threshold)))


@final
@dataclass(frozen=True)
class RandomPosterize(Unbiased):
    """With probability `p`, only the highest `bits` bits of a byte are kept. Raises StriateError for other numbers."""

    bits: int = 4
    p: float = 0.5
    stream: ClassVar[int] = 31
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self, "p")
        check_count(self, "bits", 1, 8)

    def draw(self, scene: Scene, words: Words) -> None:
        rows = np.flatnonzero(chance(words[:, 0], self.p))
        scene.step("posterize", rows, np.full((len(rows), 1), float(self.bits)))


@final
@dataclass(frozen=True)
class RandomEqualize(Unbiased):
    """With probability `p`, each channel's histogram is flattened (Pillow's way). Raises StriateError for no such p."""

    p: float = 0.5
    stream: ClassVar[int] = 32
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self, "p")

    def draw(self, scene: Scene, words: Words) -> None:
        rows = np.flatnonzero(chance(words[:, 0], self.p))
        scene.step("equalize", rows, np.empty((len(rows), 0)))


@final
@dataclass(frozen=True)
class GaussianBlur(Unbiased):
    """With probability `p`, blurred by a Gaussian of `sigma` px (uniform in the range), mirrored at the sides.

    Raises StriateError when a number is out of its range.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = 0.5
    stream: ClassVar[int] = 33
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self, "p")
        check_range(self, "sigma", 1e-3, 100.0)

    def draw(self, scene: Scene, words: Words) -> None:
        rows = np.flatnonzero(chance(words[:, 0], self.p))
        scene.step("blur", rows, uniform(words[rows, 1:2], *self.sigma))


@final
@dataclass(frozen=True)
class GaussianNoise(Unbiased):
    """Grain: an independent normal added to every value, of deviation `sigma` in bytes (uniform in the range).

    Raises StriateError when the range is none.
    """

    sigma: tuple[float, float] = (0.0, 10.0)
    stream: ClassVar[int] = 34
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "sigma", 0.0, 255.0)

    def draw(self, scene: Scene, words: Words) -> None:
        numbers = np.stack([uniform(words[:, 0], *self.sigma), words[:, 1], words[:, 2]], 1)
        scene.step("grain", np.arange(len(scene)), numbers)  # two words are the key of the image's own Philox
