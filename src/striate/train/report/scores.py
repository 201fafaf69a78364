"""What a confusion matrix says: precision, recall and F1 of each class, the pairs confused most, an interval.

Rows are the true class, columns the predicted one. With TP the diagonal, FN the rest of the row, FP the rest of the
column: precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979).
A ratio 0/0 has no value: it is NaN here, a dash on the page, and it is left out of averages. Precision is 0/0 for a
class that was never predicted, recall for one without images, F1 only where both hold.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ClassScores", "Confusion", "class_scores", "mean_of_known", "most_confused", "wilson"]

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % point: 95 % lie within ± Z_95 deviations


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassScores:
    """One number per class, [C] each; NaN where the ratio is 0/0. support: images of the class that were scored."""

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """`count` images of class `truth` were taken for `predicted` (class numbers); `share` of all images of `truth`."""

    truth: int
    predicted: int
    count: int
    share: float


def class_scores(confusion: npt.NDArray[np.int64]) -> ClassScores:
    """The scores of every class of a confusion matrix [C, C].

    >>> class_scores(np.array([[8, 2], [0, 0]])).recall
    array([0.8, nan])
    """
    right = np.diagonal(confusion)
    support = confusion.sum(axis=1)
    predicted = confusion.sum(axis=0)
    return ClassScores(
        precision=_ratio(right, predicted),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, support + predicted),
        support=support,
    )


def mean_of_known(values: npt.NDArray[np.float64]) -> float:
    """The mean of the values that exist (the macro average); NaN when there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def most_confused(confusion: npt.NDArray[np.int64], limit: int) -> list[Confusion]:
    """The `limit` commonest mistakes, by count, then by share of their class; equal ones in class order."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    support = confusion.sum(axis=1)
    truths, predictions = np.nonzero(wrong)
    pairs = [
        Confusion(truth=t, predicted=p, count=int(wrong[t, p]), share=float(wrong[t, p] / support[t]))
        for t, p in zip(truths.tolist(), predictions.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))[:limit]


def wilson(right: int, samples: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `right` of `samples` were seen (Wilson 1927, eq. 5; no continuity term).

    Unlike ± 2 deviations it stays inside [0, 1] and says something sensible at 0 and at 100 %. With no samples nothing
    is known: (0, 1).

    >>> "{:.4f} {:.4f}".format(*wilson(81, 263))   # Newcombe 1998, table I, method 3
    '0.2553 0.3662'
    """
    if samples == 0:
        return 0.0, 1.0
    share, z2 = right / samples, Z_95**2
    centre = share + z2 / (2 * samples)
    half = Z_95 * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2))
    low, high = (centre - half) / (1 + z2 / samples), (centre + half) / (1 + z2 / samples)
    # At the ends the bound is exact; rounding must not put it 1e-17 outside.
    return 0.0 if right == 0 else low, 1.0 if right == samples else high


def _ratio(above: npt.NDArray[np.int64], below: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratio = np.full(len(below), math.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio
