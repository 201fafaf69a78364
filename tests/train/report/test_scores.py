"""Scores against scikit-learn, SciPy and printed tables."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from striate.train.report.scores import class_scores, mean_of_known, most_confused, wilson

matrices = st.integers(1, 6).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.integers(0, 4)))


def labels(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The true and predicted labels that a confusion matrix counts."""
    truths, predictions = np.indices(confusion.shape)
    return np.repeat(truths.ravel(), confusion.ravel()), np.repeat(predictions.ravel(), confusion.ravel())


@settings(deadline=None)
@given(matrices.filter(lambda confusion: confusion.sum() > 0))
def test_precision_recall_f1_and_support_are_scikit_learns(confusion: np.ndarray) -> None:
    ours, (truths, predictions) = class_scores(confusion), labels(confusion)
    theirs = precision_recall_fscore_support(truths, predictions, labels=range(len(confusion)), zero_division=np.nan)
    for mine, reference in zip((ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-12)


def test_a_class_without_images_or_predictions_has_no_score_and_is_left_out_of_the_mean() -> None:
    scores = class_scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(scores.precision, [1.0, 0.0, math.nan])
    np.testing.assert_array_equal(scores.recall, [0.75, math.nan, math.nan])
    np.testing.assert_array_equal(scores.f1, [6 / 7, 0.0, math.nan])
    assert mean_of_known(scores.precision) == 0.5
    assert mean_of_known(scores.recall) == 0.75
    assert math.isnan(mean_of_known(np.array([math.nan])))


@settings(deadline=None)
@given(matrices, st.integers(0, 40))
def test_the_most_confused_pairs_are_those_of_the_obvious_loop(confusion: np.ndarray, limit: int) -> None:
    wrong = [
        (int(confusion[t, p]), confusion[t, p] / confusion[t].sum(), -t, -p)
        for t in range(len(confusion))
        for p in range(len(confusion))
        if t != p and confusion[t, p]
    ]
    expected = [(-t, -p, count) for count, _, t, p in sorted(wrong, reverse=True)[:limit]]
    assert [(pair.truth, pair.predicted, pair.count) for pair in most_confused(confusion, limit)] == expected


@pytest.mark.parametrize(
    ("right", "samples", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_one_printed_by_newcombe(right: int, samples: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    assert wilson(right, samples) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys_and_holds_the_share(seen: tuple[int, int]) -> None:
    right, samples = seen
    low, high = wilson(right, samples)
    reference = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert 0 <= low <= right / samples <= high <= 1


def test_of_no_images_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
