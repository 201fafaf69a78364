"""Noise of colour that is one affine map of each pixel: contrast and its kin, and PCA over the training set.

All of them fuse: however many a policy has, a pixel's colour is multiplied by one matrix, once.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from striate.augment import colour
from striate.augment.checks import check_at_least, check_probability
from striate.augment.draw import chance, normal, uniform
from striate.augment.noise import Unbiased, Words
from striate.augment.scene import Scene
from striate.errors import StriateError
from striate.plain import finite_numbers

__all__ = ["ColorJitter", "PCAColor", "RandomGrayscale"]


@final
@dataclass(frozen=True)
class ColorJitter(Unbiased):
    """Brightness, contrast, saturation and hue, in this order, by factors uniform in [max(0, 1 − a), 1 + a].

    `hue` is in full turns, uniform in [−hue, hue]. Contrast pivots about the training set's mean grey, not the image's
    own, and colours are clipped once, at the end: only so is all of it one matrix (docs/design/augment.md).

    Raises StriateError when a number is out of its range.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    stream: ClassVar[int] = 24

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            check_at_least(self, name, 0.0)
        check_at_least(self, "hue", 0.0, most=0.5)

    def draw(self, scene: Scene, words: Words) -> None:
        bright, contrasted, saturated = (
            uniform(words[:, k], max(0.0, 1 - reach), 1 + reach)
            for k, reach in enumerate((self.brightness, self.contrast, self.saturation))
        )
        if self.brightness:
            scene.recolour(colour.brightness(bright, scene.channels))
        if self.contrast:
            scene.recolour(colour.contrast(contrasted, scene.mean))
        if self.saturation and scene.channels == 3:
            scene.recolour(colour.saturation(saturated, scene.channels))
        if self.hue and scene.channels == 3:
            scene.recolour(colour.hue(uniform(words[:, 3], -self.hue, self.hue), scene.channels))


@final
@dataclass(frozen=True)
class RandomGrayscale(Unbiased):
    """Grey with probability `p`, in as many channels as before. Raises StriateError when `p` is no probability."""

    p: float = 0.1
    stream: ClassVar[int] = 25

    def __post_init__(self) -> None:
        check_probability(self, "p")

    def draw(self, scene: Scene, words: Words) -> None:
        scene.recolour(colour.greyscale(chance(words[:, 0], self.p), scene.channels))


@final
@dataclass(frozen=True)
class PCAColor(Unbiased):
    """One colour added to a whole image: Σ pᵢ αᵢ λᵢ with αᵢ ~ N(0, sigma²) drawn once an image (Krizhevsky 2012, §4.1).

    `values` λ [C] and `vectors` p (rows, [C][C]) are the eigenvalues and eigenvectors of the covariance of all pixels
    of the training set, in units of 0..1; `striate.data.fit_pca` finds them in one pass.

    Raises StriateError when the numbers do not belong together.
    """

    values: tuple[float, ...]
    vectors: tuple[tuple[float, ...], ...]
    sigma: float = 0.1
    stream: ClassVar[int] = 26

    def __post_init__(self) -> None:
        check_at_least(self, "sigma", 0.0)
        values = finite_numbers(self.values)
        if values is None:
            raise StriateError(f"PCAColor: values is {self.values!r}; give a list of finite numbers")
        try:
            vectors = tuple(finite_numbers(row) for row in self.vectors)
        except TypeError:
            vectors = (None,)
        if None in vectors:
            raise StriateError(f"PCAColor: vectors is {self.vectors!r}; give a list of lists of finite numbers")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "vectors", vectors)
        shape = {len(self.values), len(self.vectors), *(len(row) for row in self.vectors)}
        if shape not in ({1}, {3}):
            raise StriateError(
                f"PCAColor: {len(self.values)} eigenvalues with {len(self.vectors)} eigenvectors; "
                f"give as many of each as an image has channels, all finite"
            )

    def draw(self, scene: Scene, words: Words) -> None:
        channels = len(self.values)
        if channels != scene.channels:
            raise StriateError(
                f"PCAColor: fitted to images of {channels} channel(s), drawn for {scene.channels}; fit it to these data"
            )
        alpha = self.sigma * normal(words)[:, :channels]
        scene.recolour(colour.offset(255 * (alpha * np.array(self.values)) @ np.array(self.vectors)))
