"""One of every noise, and the test of uniformity that their laws are held to."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from striate.augment import (
    Affine,
    ColorJitter,
    Cutout,
    GaussianBlur,
    GaussianNoise,
    HorizontalFlip,
    Lens,
    Noise,
    PadCrop,
    PCAColor,
    Perspective,
    RandAugment,
    RandomEqualize,
    RandomErasing,
    RandomGamma,
    RandomGrayscale,
    RandomPosterize,
    RandomResizedCrop,
    RandomScaleCrop,
    RandomSolarize,
    TrivialAugment,
    VerticalFlip,
)

EVERY_NOISE: tuple[Noise, ...] = (
    Affine((-20, 20), (0.1, 0.2), (0.8, 1.3), (0.7, 1.4), (-10, 10), (-5, 5)),
    ColorJitter(0.4, 0.3, 0.5, 0.1),
    Cutout(9),
    GaussianBlur(),
    GaussianNoise(),
    HorizontalFlip(),
    Lens((-0.2, 0.3), (0.0, 0.1)),
    PCAColor((0.2, 0.02, 0.004), ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    PadCrop(4),
    Perspective(0.4, 0.8),
    RandAugment(),
    RandomEqualize(),
    RandomErasing(),
    RandomGamma(),
    RandomGrayscale(),
    RandomPosterize(),
    RandomResizedCrop(),
    RandomScaleCrop((36, 60)),
    RandomSolarize(),
    TrivialAugment(),
    VerticalFlip(),
)


@pytest.fixture(params=EVERY_NOISE, ids=lambda noise: type(noise).__name__)
def every_noise(request: pytest.FixtureRequest) -> Noise:
    """One noise of each kind in turn."""
    noise: Noise = request.param
    return noise


@pytest.fixture(scope="session")
def assert_uniform() -> Callable[[np.ndarray, int], None]:
    """assert_uniform(values, n): whole numbers below n, each equally often, at a one-in-a-million tail."""
    return _assert_uniform


def _chi_square_tail(counts: np.ndarray, expected: np.ndarray) -> float:
    """P(χ² ≥ the observed one), by Wilson and Hilferty 1931 (good to a few per cent here)."""
    degrees = counts.size - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    z = ((statistic / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    return 0.5 * math.erfc(z / math.sqrt(2))


def _assert_uniform(values: np.ndarray, n: int) -> None:
    counts = np.bincount(values.ravel(), minlength=n)
    assert counts.size == n
    assert counts.min() > 0
    assert 1e-6 < _chi_square_tail(counts, np.full(n, values.size / n)) < 1 - 1e-6
