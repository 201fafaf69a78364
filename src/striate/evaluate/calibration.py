"""Whether a probability of 80 % is right four times in five, and the one number that mends it when it is not.

    ECE    Σ over bins of  share · |accuracy − confidence|,  by the confidence of the likeliest class: 15 bins of equal
           width (Guo et al. 2017, "On calibration of modern neural networks", eq. 3), or of equally many images (the
           adaptive one: Nguyen and O'Connor 2015), which sees what happens where nearly all confidences lie
    Brier  mean of Σ over classes (p − y)²                                                      (Brier 1950)
    T      p becomes p^(1/T) / Σ p^(1/T), for p = softmax(z) the same as softmax(z / T)          (Guo 2017, §4.2)

The loss of β = 1/T is convex (log-sum-exp is), so Newton's method inside a bracket finds its one minimum.
"""

import dataclasses
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError

__all__ = ["Bins", "Calibration", "fit_temperature", "temperature_note", "tempered"]

BINS = 15
TINY = float(np.finfo(np.float64).tiny)
HOTTEST = 100.0  # temperatures from 1/100 to 100: at the ends a net is a guess, or is always right
STEPS = 200  # Newton takes about six; a bisection from 10⁴ down to the last bit would take 67


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """Images by confidence. NaN where a bin has none."""

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]  # the mean probability of the likeliest class
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error over these bins."""
        seen = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[seen]
        return float((gaps * self.counts[seen]).sum() / max(1, self.counts.sum()))

    @classmethod
    def of(cls, bin_of: NDArray[np.int64], confidence: NDArray[np.float64], right: NDArray[np.bool_], n: int) -> Self:
        """From each image's bin, 0…n − 1, confidence, and whether it is right."""
        counts = np.bincount(bin_of, minlength=n)
        with np.errstate(invalid="ignore"):
            means = [np.bincount(bin_of, values, minlength=n) / counts for values in (confidence, right.astype(float))]
        return cls(counts=counts, confidence=means[0], accuracy=means[1])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Of one set of answers. bins: the 15 of equal width, as a reliability diagram draws them."""

    ece: float
    adaptive_ece: float
    brier: float
    bins: Bins

    @classmethod
    def of(cls, probabilities: NDArray[Any], labels: NDArray[np.int64]) -> Self:
        """From probabilities [N, K] and true classes [N]."""
        p = np.asarray(probabilities, np.float64)
        confidence, right = p.max(1), p.argmax(1) == labels
        bins = Bins.of(_equal_width(confidence), confidence, right, BINS)
        adaptive = Bins.of(_equal_count(confidence, right), confidence, right, BINS)
        target = np.zeros_like(p)
        target[np.arange(len(labels)), labels] = 1
        brier = float(((p - target) ** 2).sum(1).mean())
        return cls(ece=bins.error, adaptive_ece=adaptive.error, brier=brier, bins=bins)


def fit_temperature(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The temperature with the least mean −log p(true class), from 1/100 to 100.

    >>> odds = np.array([[0.9, 0.1]] * 10)      # says 90 %, and is right in 75 % of cases: log 9 / log 3 = 2
    >>> round(fit_temperature(odds[:4], np.array([0, 0, 0, 1])), 6)
    2.0

    Raises StriateError when there are no images.
    """
    if len(labels) == 0:
        raise StriateError("no images to fit a temperature to; a run without a validation part has none")
    z = np.log(np.maximum(np.asarray(probabilities, np.float64), TINY))
    z = z - z.max(1, keepdims=True)
    true = z[np.arange(len(labels)), labels]

    def slope_and_curvature(beta: float) -> tuple[float, float]:  # of the mean loss
        weights = np.exp(beta * z)
        weights /= weights.sum(1, keepdims=True)
        mean = (weights * z).sum(1)
        return float((mean - true).mean()), float(((weights * z * z).sum(1) - mean * mean).mean())

    low, high = 1 / HOTTEST, HOTTEST
    if slope_and_curvature(1.0)[0] == 0:  # none is better; perhaps any would do
        return 1.0
    if slope_and_curvature(high)[0] <= 0:  # the loss is convex: it falls all the way
        return 1 / high
    if slope_and_curvature(low)[0] >= 0:
        return 1 / low
    beta = 1.0
    for _ in range(STEPS):
        slope, curvature = slope_and_curvature(beta)
        if slope == 0:
            break
        if slope > 0:
            high = beta
        else:
            low = beta
        step = beta - slope / curvature if curvature > 0 else np.inf
        new = step if low < step < high else (low * high) ** 0.5
        if abs(new - beta) <= 1e-12 * beta:
            break
        beta = new
    return float(1 / beta)


def temperature_note(temperature: float) -> str | None:
    """What to know of a fitted temperature that ran to an end of its range; None for any other.

    >>> temperature_note(0.01)
    'the temperature ran to its least, 0.01: no validation image is wrong, which says nothing of how sure to be'
    """
    if temperature < 1.001 / HOTTEST:
        least = f"{1 / HOTTEST:g}: no validation image is wrong, which says nothing of how sure to be"
        return f"the temperature ran to its least, {least}"
    if temperature > HOTTEST / 1.001:
        return (
            f"the temperature ran to its most, {HOTTEST:g}: on the validation images the net is no better than a guess"
        )
    return None


def tempered(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """p^(1/T) [..., K], normalised: the same order of classes, less sure for T > 1.

    >>> tempered(np.array([[0.9, 0.1]]), 2.0).round(3).tolist()
    [[0.75, 0.25]]
    """
    z = np.log(np.maximum(np.asarray(probabilities, np.float64), TINY)) / temperature
    p = np.exp(z - z.max(-1, keepdims=True))
    found: NDArray[np.float64] = p / p.sum(-1, keepdims=True)
    return found


def _equal_width(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin m holds ((m − 1)/15, m/15], as Guo 2017 has it."""
    bins: NDArray[np.int64] = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins


def _equal_count(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bins of equally many images, by confidence; equal ones by whether they are right, so that no order matters."""
    rank = np.empty(len(confidence), np.int64)
    rank[np.lexsort((right, confidence))] = np.arange(len(confidence))
    return rank * BINS // max(1, len(confidence))
