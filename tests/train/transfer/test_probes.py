"""Probes: against scikit-learn on the rows as they came, against a loop that leaves each row out, and by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from striate.errors import StriateError
from striate.train.transfer import probes
from striate.train.transfer.probes import CLASSIFIERS, LINEAR, fit_probe


def clouds(per_class: int, classes: int, features: int, apart: float, seed: int = 0) -> tuple[NDArray, NDArray]:
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, features)) * apart
    labels = np.repeat(np.arange(classes), per_class)
    return (centres[labels] + draw.normal(size=(len(labels), features)) + 5).astype(np.float32), labels


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(("classes", "features"), [(2, 5), (4, 200)])
def test_every_classifier_tells_clouds_apart_and_says_so(classifier: str, classes: int, features: int) -> None:
    rows, labels = clouds(12, classes, features, 1.5)
    asked, truth = clouds(30, classes, features, 1.5, seed=1)
    probe = fit_probe(classifier, rows, labels, classes)
    assert probe.accuracy(asked, truth) > 0.9
    assert probe.expected == pytest.approx(probe.accuracy(asked, truth), abs=0.12)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_rows_of_noise_are_not_learnt(classifier: str) -> None:
    rows, labels = clouds(30, 3, 50, 0.0)
    assert fit_probe(classifier, rows, labels, 3).expected == pytest.approx(1 / 3, abs=0.17)


@pytest.mark.parametrize("classifier", LINEAR)
@pytest.mark.parametrize("features", [4, 90])
def test_weights_are_for_the_rows_as_they_came(classifier: str, features: int) -> None:
    rows, labels = clouds(10, 3, features, 1.0)
    probe = fit_probe(classifier, rows, labels, 3)
    assert probe.linear is not None
    assert probe.linear.weight.shape == (3, features)
    scores = probe.linear.scores(rows)
    assert (scores.argmax(1) == probe.predict(rows.astype(np.float64))).all()


@pytest.mark.parametrize(("classes", "features"), [(2, 60), (3, 60), (3, 6)])
def test_logistic_in_the_span_is_logistic_in_all_of_the_space(classes: int, features: int) -> None:
    """The turn into the rows' own space changes no answer: scikit-learn on the scaled rows themselves agrees."""
    rows, labels = clouds(8, classes, features, 0.7)
    probe = fit_probe("logistic", rows, labels, classes)
    c = float(probe.setting.removeprefix("C="))
    scaled = (rows - rows.mean(0)).astype(np.float64)
    scaled /= np.sqrt((scaled**2).mean())
    model = LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(scaled, labels)
    assert probe.linear is not None
    scores = probe.linear.scores(rows)
    mine = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(mine / mine.sum(1, keepdims=True), model.predict_proba(scaled), atol=0.02)


def test_ridge_leaves_each_row_out_exactly() -> None:
    """The closed form against the obvious loop, by scikit-learn's ridge on the rows that are left."""
    rows, labels = clouds(5, 3, 4, 0.8)
    probe = fit_probe("ridge", rows, labels, 3)
    alpha = float(probe.setting.removeprefix("α="))
    x = (rows - rows.mean(0)).astype(np.float64)
    x /= np.sqrt((x**2).mean())
    target = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    right = 0
    for i in range(len(x)):
        kept = np.arange(len(x)) != i
        fitted = Ridge(alpha=alpha).fit(x[kept], target[kept])
        right += int(fitted.predict(x[i : i + 1]).argmax() == labels[i])
    assert probe.expected == pytest.approx(right / len(x))


def test_the_nearest_mean_is_the_nearest_mean() -> None:
    rows, labels = clouds(6, 3, 5, 0.5)
    probe = fit_probe("nearest mean", rows, labels, 3)
    means = np.stack([rows[labels == c].mean(0) for c in range(3)])
    by_hand = np.linalg.norm(rows[:, None] - means, axis=2).argmin(1)
    assert (probe.predict(rows.astype(np.float64)) == by_hand).all()


def test_a_class_with_one_image_leaves_nothing_to_leave_out() -> None:
    rows, labels = clouds(1, 2, 8, 3.0)
    probe = fit_probe("logistic", rows, labels, 2)
    assert np.isnan(probe.expected)
    assert probe.accuracy(rows, labels) == 1


def test_what_cannot_be_fitted_is_refused() -> None:
    rows, labels = clouds(3, 2, 4, 1.0)
    with pytest.raises(StriateError, match="unknown classifier 'logistics'; did you mean 'logistic'"):
        fit_probe("logistics", rows, labels, 2)
    with pytest.raises(StriateError, match="class 2 has no images"):
        fit_probe("ridge", rows, labels, 3)


def test_of_equal_settings_the_middle_one_is_taken() -> None:
    assert probes._middle_of_best(np.array([3.0, 5, 5, 5, 1])) == 2
