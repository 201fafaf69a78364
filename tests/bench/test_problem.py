"""What float64 says of a convolution, against loops, and how wrong results are told."""

import math

import numpy as np
import pytest

from striate.bench.layer import Layer
from striate.bench.problem import PASSES, Pass, Problem, relative_error

LAYER = Layer(in_maps=4, out_maps=6, size=(7, 6), kernel=(3, 2), stride=(2, 1), padding=(1, 0), groups=2)


def loops(problem: Problem) -> dict[Pass, np.ndarray]:
    """The definition, as sums over every triple (x, w, y), in float64."""
    layer, x, w, dy = problem.layer, problem.x, problem.weight, problem.gradient
    y, dx, dw = (np.zeros(a.shape) for a in (dy, x, w))
    per_in, per_out = layer.in_maps // layer.groups, layer.out_maps // layer.groups
    for n, k, p, q in np.ndindex(*dy.shape):
        for c, i, j in np.ndindex(per_in, *layer.kernel):
            down = p * layer.stride[0] + i - layer.padding[0]
            across = q * layer.stride[1] + j - layer.padding[1]
            if 0 <= down < layer.size[0] and 0 <= across < layer.size[1]:
                at = (n, k // per_out * per_in + c, down, across)
                y[n, k, p, q] += float(x[at]) * float(w[k, c, i, j])
                dx[at] += float(dy[n, k, p, q]) * float(w[k, c, i, j])
                dw[k, c, i, j] += float(dy[n, k, p, q]) * float(x[at])
    return {"forward": y, "data": dx, "weights": dw}


@pytest.mark.parametrize("which", PASSES)
def test_truth_is_the_definition(which: Pass) -> None:
    problem = Problem(layer=LAYER, batch=3, threads=1, which=which)
    wanted = loops(problem)[which]
    assert wanted.shape == problem.result_shape
    checked = wanted if which == "weights" else wanted[[0, 2]]
    np.testing.assert_allclose(problem.truth, checked, rtol=1e-12, atol=1e-12)
    assert problem.error(checked.astype(np.float32)) < 1e-7


def test_first_and_last_image_are_checked() -> None:
    assert Problem(layer=LAYER, batch=1, threads=1).checked_images == (0,)
    assert Problem(layer=LAYER, batch=9, threads=1).checked_images == (0, 8)


def test_an_error_is_relative_to_the_largest() -> None:
    truth = np.array([1.0, -4.0])
    assert relative_error(np.array([1.0, -3.0]), truth) == 0.25


@pytest.mark.parametrize("wrong", [np.array([1.0, np.nan]), np.array([1.0, np.inf]), np.array([1.0])])
def test_what_is_no_result_is_infinitely_wrong(wrong: np.ndarray) -> None:
    assert math.isinf(relative_error(wrong, np.array([1.0, -4.0])))


def test_numbers_depend_on_the_seed_alone() -> None:
    one, other = (Problem(layer=LAYER, batch=2, threads=n) for n in (1, 2))
    assert np.array_equal(one.x, other.x)
    assert one.x.std() == pytest.approx(1, abs=0.1)
