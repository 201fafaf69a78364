"""Winograd's convolution against the reference: every instruction set, m, size and layout, within its error bound."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate import _native

ISAS = _native.available_isas()
TILES = [2, 4, 6]
# Largest error in units of 2^-24 · Σ|x||w| (Higham's bound for the direct sum is K there, K the length of the sum),
# as measured over many shapes, with a margin of three: the price of each m.
FACTOR = {2: 8, 4: 150, 6: 150}


def reference(x, weight, bias, padding, groups):
    settings = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": groups}
    bias = None if bias is None else bias.astype(np.float64)
    return _native.reference_conv2d(x.astype(np.float64), weight.astype(np.float64), bias, **settings)


def check(x, weight, bias, padding, groups, m, *, relu=False, channels_last=False, threads=1, isa=None):
    wanted = reference(x, weight, bias, padding, groups)
    size = reference(np.abs(x), np.abs(weight), None if bias is None else np.abs(bias), padding, groups)
    given_x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x
    before = given_x.copy()
    y = _native.winograd_conv2d(
        given_x, weight, bias, padding=padding, groups=groups, m=m, relu=relu, channels_last=channels_last,
        threads=threads, isa=isa,
    )  # fmt: skip
    assert (given_x == before).all()
    if channels_last:
        y = y.transpose(0, 3, 1, 2)
    if relu:
        wanted = np.maximum(wanted, 0)
    assert y.shape == wanted.shape
    # a tile's error is as large as its largest sum, wherever in the tile
    allowed = FACTOR[m] * 2.0**-24 * size.max(initial=0.0) + 1e-30
    assert np.abs(y - wanted).max(initial=0.0) <= allowed
    return y


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 2))
    group_in = draw(st.one_of(st.integers(1, 5), st.integers(15, 18), st.integers(31, 40)))
    group_out = draw(st.one_of(st.integers(1, 5), st.integers(15, 18), st.integers(31, 40)))
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    height = draw(st.integers(max(1, 3 - padding[0] - padding[1]), 14))
    width = draw(st.one_of(st.integers(max(1, 3 - padding[2] - padding[3]), 20), st.integers(90, 110)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.normal(size=(draw(st.integers(0, 3)), groups * group_in, height, width)).astype(np.float32)
    weight = rng.normal(size=(groups * group_out, group_in, 3, 3)).astype(np.float32)
    bias = rng.normal(size=groups * group_out).astype(np.float32) if draw(st.booleans()) else None
    return x, weight, bias, padding, groups


@settings(deadline=None, max_examples=60)
@given(convolution=convolutions(), m=st.sampled_from(TILES), relu=st.booleans(), channels_last=st.booleans())
def test_every_shape_on_every_instruction_set(convolution, m, relu, channels_last):
    for isa in ISAS:
        one = check(*convolution, m, relu=relu, channels_last=channels_last, isa=isa)
        for threads in (2, 3):
            more = check(*convolution, m, relu=relu, channels_last=channels_last, threads=threads, isa=isa)
            np.testing.assert_array_equal(one, more)


@pytest.mark.parametrize("m", TILES)
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (100.0, 1.0), (0.0, 1e4), (-3.0, 1e-4)])
def test_the_error_bound_holds_for_large_means_and_wide_ranges(m, mean, spread):
    rng = np.random.default_rng(0)
    x = (mean + spread * rng.normal(size=(1, 24, 20, 20)) * 10 ** rng.uniform(-3, 0, (1, 24, 1, 1))).astype(np.float32)
    weight = rng.normal(size=(16, 24, 3, 3)).astype(np.float32)
    check(x, weight, None, (1, 1, 1, 1), 1, m)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("m", TILES)
def test_nan_and_infinity_reach_every_output_that_sees_them(isa, m):
    """The direct sum spreads a NaN over 3×3 outputs; here it may reach the rest of its tile too, and no further."""
    x = np.ones((1, 2, 40, 40), np.float32)
    x[0, 1, 20, 20] = np.nan
    weight = np.ones((3, 2, 3, 3), np.float32)
    y = _native.winograd_conv2d(x, weight, None, padding=(1, 1, 1, 1), m=m, isa=isa)
    assert np.isnan(y[0, :, 19:22, 19:22]).all()
    far = np.ones((40, 40), bool)
    far[20 - 2 * m : 21 + 2 * m, 20 - 2 * m : 21 + 2 * m] = False
    assert not np.isnan(y[0][:, far]).any()


def exact_matrices(m, taps, points):
    """Aᵀ, G, Bᵀ of F(m, taps) in fractions, from the points alone, as native/winograd/cook_toom.h states them."""
    size = m + taps - 1

    def polynomial(roots):
        coefficients = [Fraction(1)]
        for root in roots:
            shifted = [Fraction(0), *coefficients]
            coefficients = [a - root * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
        return coefficients + [Fraction(0)] * (size - len(coefficients))

    at = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    g, bt = [], []
    for j, p in enumerate(points):
        others = points[:j] + points[j + 1 :]
        distance = Fraction(1)
        for q in others:
            distance *= p - q
        g.append([p**k / distance for k in range(taps)])
        bt.append(polynomial(others))
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    bt.append(polynomial(points))
    return at, g, bt


# native/winograd/points.h, by the number of products.
POINTS = {4: (0, 1, -1), 6: (0, 1, -1, "1/2", -2), 8: (0, 1, -1, 2, -2, "1/2", "-1/2")}


@pytest.mark.parametrize(("m", "taps"), [(2, 3), (4, 3), (6, 3), (2, 5), (4, 5)])
def test_the_algorithm_is_exact(m, taps):
    """Σ_j Aᵀ[i, j] G[j, k] Bᵀ[j, l] is 1 for l = i + k and 0 otherwise: filtering, as an identity of polynomials."""
    size = m + taps - 1
    at, g, bt = exact_matrices(m, taps, [Fraction(p) for p in POINTS[size]])
    for i, k, position in itertools.product(range(m), range(taps), range(size)):
        total = sum(at[i][j] * g[j][k] * bt[j][position] for j in range(size))
        assert total == (position == i + k)


@pytest.mark.parametrize(("m", "multiple"), [(2, 4), (4, 225)])
def test_whole_numbers_come_out_exact(m, multiple):
    """Filters that the divisions of G ⊗ G leave whole, and small pixels: nothing is rounded, so nothing differs."""
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (1, 3, 13, 13)).astype(np.float32)
    weight = (multiple * rng.integers(-2, 3, (5, 3, 3, 3))).astype(np.float32)
    y = _native.winograd_conv2d(x, weight, None, padding=(1, 1, 1, 1), m=m)
    np.testing.assert_array_equal(y, reference(x, weight, None, (1, 1, 1, 1), 1))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"weight": np.zeros((2, 1, 5, 5), np.float32)}, ValueError, "filters are 5×5; Winograd's convolution here is"),
        ({"m": 3}, ValueError, "m must be 2, 4 or 6, not 3"),
        ({"m": 8}, ValueError, "m must be from 2 to 6, not 8"),
        ({"bias": np.zeros(3, np.float32)}, ValueError, "bias has 3 numbers for 2 filters"),
        ({"isa": "reference"}, ValueError, "has no reference kernels; reference_conv2d is the reference"),
        ({"x": np.zeros((1, 1, 1, 9), np.float32)}, ValueError, r"height 1 \+ padding 0 is less than the 3 px"),
        ({"x": np.zeros((1, 1, 9, 9))}, TypeError, r"x must be float32\[N, C, H, W\], not float64\[1, 1, 9, 9\]"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(changed, error, message):
    call = {
        "x": np.zeros((1, 1, 9, 9), np.float32),
        "weight": np.zeros((2, 1, 3, 3), np.float32),
        "bias": None,
        "padding": (0, 0, 0, 0),
    }
    with pytest.raises(error, match=f"^winograd_conv2d: {message}"):
        _native.winograd_conv2d(**(call | changed))
