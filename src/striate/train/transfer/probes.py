"""Classifiers on rows of features, their one setting chosen by cross-validation in log space.

    logistic      multinomial logistic regression, C               Donahue 2014 (DeCAF): LogReg
    svm           linear, squared hinge, one against the rest, C   Donahue 2014, Razavian 2014: SVM
    ridge         least squares to ±1, closed form, α              leave-one-out is closed form, too
    neighbours    the k nearest, cosine distance, k                left out in turn
    nearest mean  the class with the nearest mean                  nothing to choose

Rows are centred, divided by one number so that their mean square length is the number of features, and, where there are
fewer rows than features, turned into the space that they span: what is penalised is the length of a weight vector,
which lies in that space whatever the penalty, so nothing changes but the time.

scikit-learn is imported where it is used: it takes a second to load.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError, UnknownName, unknown

__all__ = ["CLASSIFIERS", "LINEAR", "Linear", "Probe", "check_classifiers", "fit_probe", "softmax_regression"]

Rows: TypeAlias = NDArray[np.float64]  # [N, D]
Labels: TypeAlias = NDArray[np.int64]  # [N]
Predict: TypeAlias = Callable[[Rows], Labels]

# C of logistic and SVM. Below a thousandth nothing is left of a classifier but the means' directions, and the few folds
# of twenty images did choose that.
PENALTIES = tuple(float(c) for c in np.logspace(-3, 1, 5))
RIDGES = tuple(float(a) for a in np.logspace(-4, 3, 15))  # α of ridge, for each row
NEIGHBOURS = (1, 3, 5, 9, 17)
FOLDS = 5
ROUNDS = 100  # of the solvers; a fit that has not ended by then is near enough for a probe


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear:
    """Scores = (rows − centre) · scale @ weight.T + bias. weight: [K, D]; bias: [K]; centre: [D]."""

    weight: Rows
    bias: Rows
    centre: Rows
    scale: float = 1.0

    def scores(self, rows: Rows) -> Rows:
        """[N, K]."""
        scores: Rows = (rows - self.centre) * self.scale @ self.weight.T + self.bias
        return scores

    def plain(self) -> tuple[Rows, Rows]:
        """Weight and bias for rows as they came: scores = rows @ weight.T + bias."""
        weight = self.weight * self.scale
        return weight, self.bias - weight @ self.centre


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A fitted classifier. `setting` and `expected`: what was chosen, and its accuracy on rows left out (NaN where
    there were too few to leave any out). `linear` where the classifier is one."""

    classifier: str
    setting: str
    expected: float
    predict: Predict
    linear: Linear | None = None
    penalty: float | None = None

    def accuracy(self, rows: NDArray[Any], labels: Labels) -> float:
        """The share of rows that it is right about."""
        return float((self.predict(np.asarray(rows, np.float64)) == labels).mean())


def fit_probe(classifier: str, rows: NDArray[Any], labels: Labels, classes: int, *, seed: int = 0) -> Probe:
    """A probe on rows [N, D] with labels below `classes`; the seed decides the folds.

    Raises StriateError for a classifier that is none of CLASSIFIERS, and when a class has no rows.
    """
    check_classifiers([classifier])
    counts = np.bincount(labels, minlength=classes)
    if counts.min() == 0:
        raise StriateError(f"class {int(counts.argmin())} has no images to learn from; give every class one at least")
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn's own, without stubs

    with threadpool_limits(1):  # fits are small and many: threads would wait for one another at each step
        return CLASSIFIERS[classifier](np.asarray(rows, np.float64), labels, classes, seed)


def check_classifiers(names: Sequence[str]) -> None:
    """Raises StriateError, with the nearest name, for one that is none of CLASSIFIERS."""
    for name in names:
        if name not in CLASSIFIERS:
            raise UnknownName(unknown("classifier", name, CLASSIFIERS))


@final
class _Frame:
    """Where rows are fitted: centred, of unit scale, in the space that the training rows span."""

    def __init__(self, rows: Rows) -> None:
        self.mean = rows.mean(0)
        centred = rows - self.mean
        square = float((centred**2).mean())
        self.scale = square**-0.5 if square > 0 else 1.0
        self.basis: Rows | None = None
        if len(rows) < rows.shape[1]:  # N×N instead of D×D: eigenvectors of the Gram matrix
            values, vectors = np.linalg.eigh(centred @ centred.T)
            kept = values > values[-1] * len(rows) * np.finfo(np.float64).eps
            self.basis = (centred.T @ vectors[:, kept]) / np.sqrt(np.maximum(values[kept], 0))  # D × rank

    def of(self, rows: Rows) -> Rows:
        inside: Rows = (rows - self.mean) * self.scale
        return inside if self.basis is None else np.asarray(inside @ self.basis)

    def linear(self, weight: Rows, bias: Rows) -> Linear:
        """The classifier that has these weights in here."""
        outside = weight if self.basis is None else weight @ self.basis.T
        return Linear(weight=outside, bias=bias, centre=self.mean, scale=self.scale)


def _penalised(name: str, make: Callable[[float], Any], *, softmax: bool) -> Callable[[Rows, Labels, int, int], Probe]:
    """A probe around one of scikit-learn's linear classifiers; `make` takes C: C · Σ loss + ½ ‖weight‖²."""

    def fit(rows: Rows, labels: Labels, classes: int, seed: int) -> Probe:
        frame = _Frame(rows)
        x = frame.of(rows)
        folds = _folds(labels, seed)
        right = np.zeros(len(PENALTIES))
        for kept, left in folds:
            model = make(PENALTIES[0])
            for i, penalty in enumerate(PENALTIES):  # each from where the last ended, where the solver can
                model.set_params(C=penalty)
                right[i] += (_fitted(model, x[kept], labels[kept]).predict(x[left]) == labels[left]).sum()
        best = _middle_of_best(right) if folds else len(PENALTIES) // 2
        model = _fitted(make(PENALTIES[best]), x, labels)
        return _linear_probe(
            name,
            f"C={PENALTIES[best]:g}",
            right[best] / len(labels) if folds else np.nan,
            frame.linear(*_row_of_each(model)),
            _halves(classes) / (PENALTIES[best] * len(labels)) if softmax else None,
        )

    return fit


def softmax_regression(rows: NDArray[Any], labels: Labels, classes: int, penalty: float) -> Linear:
    """The least of the mean loss and penalty/2 · ‖weight‖²; as the probe "logistic" whose `penalty` it is."""
    x = np.asarray(rows, np.float64)
    frame = _Frame(x)
    return frame.linear(
        *_row_of_each(_fitted(_logistic(_halves(classes) / (penalty * len(labels))), frame.of(x), labels))
    )


def _halves(classes: int) -> int:
    """By what scikit-learn's square length is more than ours: of two classes it has one row, we have ± half of it."""
    return 2 if classes == 2 else 1


def _row_of_each(model: Any) -> tuple[Rows, Rows]:
    """Weights and biases with a row for each class: softmax of ± half is the same probability."""
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def _ridge(rows: Rows, labels: Labels, classes: int, seed: int) -> Probe:
    """ŷ = H y with H = X (XᵀX + αI)⁻¹ Xᵀ; a row left out errs by (y − ŷ) / (1 − h), exactly (Hastie 2009, eq. 7.64)."""
    frame = _Frame(rows)
    x = frame.of(rows)
    target = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
    mean = target.mean(0)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along = u.T @ (target - mean)
    alphas = [len(rows) * alpha for alpha in RIDGES]
    right = np.zeros(len(alphas))
    for i, alpha in enumerate(alphas):
        shrunk = s**2 / (s**2 + alpha)
        fitted = mean + u @ (shrunk[:, None] * along)
        leverage = 1 / len(rows) + (u**2) @ shrunk
        left_out = target - (target - fitted) / np.maximum(1 - leverage, 1e-9)[:, None]
        right[i] = (left_out.argmax(1) == labels).sum()
    best = _middle_of_best(right)
    weight = (vt.T @ ((s / (s**2 + alphas[best]))[:, None] * along)).T
    return _linear_probe("ridge", f"α={alphas[best]:.3g}", right[best] / len(labels), frame.linear(weight, mean))


def _neighbours(rows: Rows, labels: Labels, classes: int, seed: int) -> Probe:
    known = _directions(rows)
    similar = known @ known.T
    np.fill_diagonal(similar, -np.inf)  # left out: nobody is his own neighbour
    choices = [k for k in NEIGHBOURS if k < len(rows)] or [1]
    right = [int((_voted(similar, labels, classes, k) == labels).sum()) for k in choices]
    k = choices[int(np.argmax(right))]

    def predict(asked: Rows) -> Labels:
        return _voted(_directions(asked) @ known.T, labels, classes, k)

    return Probe(classifier="neighbours", setting=f"k={k}", expected=max(right) / len(labels), predict=predict)


def _voted(similar: Rows, labels: Labels, classes: int, k: int) -> Labels:
    """The class with most votes of the k most similar; of equal ones the more similar."""
    nearest = np.argpartition(-similar, min(k, similar.shape[1]) - 1, axis=1)[:, :k]
    votes = np.zeros((len(similar), classes))
    here = np.arange(len(similar))[:, None]
    close = np.take_along_axis(similar, nearest, 1)
    np.add.at(votes, (here, labels[nearest]), 1 + 1e-3 * np.where(np.isfinite(close), close, -1))
    return np.asarray(votes.argmax(1))


def _directions(rows: Rows) -> Rows:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny))


def _nearest_mean(rows: Rows, labels: Labels, classes: int, seed: int) -> Probe:
    """|x − m|² = |x|² − 2 m·x + |m|²: linear in x, since |x|² is the same for every class."""

    def linear(x: Rows, y: Labels) -> Linear:
        means = np.stack([x[y == c].mean(0) if (y == c).any() else np.full(x.shape[1], np.inf) for c in range(classes)])
        means = np.where(np.isfinite(means), means, 0.0)
        return Linear(weight=means, bias=-0.5 * (means**2).sum(1), centre=np.zeros(x.shape[1]))

    folds = _folds(labels, seed)
    right = sum(int((_predict(linear(rows[a], labels[a]), rows[b]) == labels[b]).sum()) for a, b in folds)
    return _linear_probe("nearest mean", "", right / len(labels) if folds else np.nan, linear(rows, labels))


def _linear_probe(name: str, setting: str, expected: float, linear: Linear, penalty: float | None = None) -> Probe:
    return Probe(
        classifier=name,
        setting=setting,
        expected=float(expected),
        predict=lambda rows: _predict(linear, rows),
        linear=linear,
        penalty=penalty,
    )


def _predict(linear: Linear, rows: Rows) -> Labels:
    answer: Labels = linear.scores(rows).argmax(1)
    return answer


def _folds(labels: Labels, seed: int) -> list[tuple[Labels, Labels]]:
    """Stratified folds, as many as the smallest class allows, FOLDS at most; none where a class has a single row."""
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]  # it ships no stubs

    count = min(FOLDS, int(np.bincount(labels).min()))
    if count < 2:
        return []
    return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels))


def _middle_of_best(right: NDArray[np.float64]) -> int:
    """Of the settings that are best alike, the one in the middle: the ends of a plateau are where it falls off."""
    best = np.flatnonzero(right == right.max())
    return int(best[len(best) // 2])


def _fitted(model: Any, rows: Rows, labels: Labels) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning: see ROUNDS
        return model.fit(rows, labels)


def _logistic(penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # it ships no stubs

    return LogisticRegression(C=penalty, max_iter=ROUNDS, tol=1e-3, warm_start=True)


def _svm(penalty: float) -> Any:
    from sklearn.svm import LinearSVC  # type: ignore[import-untyped]  # it ships no stubs

    return LinearSVC(C=penalty, max_iter=ROUNDS, tol=1e-3, random_state=0)


CLASSIFIERS: Mapping[str, Callable[[Rows, Labels, int, int], Probe]] = MappingProxyType(
    {
        "logistic": _penalised("logistic", _logistic, softmax=True),
        "svm": _penalised("svm", _svm, softmax=False),
        "ridge": _ridge,
        "neighbours": _neighbours,
        "nearest mean": _nearest_mean,
    }
)
LINEAR = ("logistic", "svm", "ridge")
