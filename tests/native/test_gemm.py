"""The matrix product against NumPy in float64, within the bound of its rounding: any size, stride, thread count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate import _native

ISAS = _native.available_isas()
EPSILON = np.finfo(np.float32).eps / 2


def strided(rng, rows, columns, kind):
    """A matrix of normal numbers: as it is, transposed, every second column, or backwards."""
    if kind == "transposed":
        return rng.normal(size=(columns, rows)).astype(np.float32).T
    if kind == "spread":
        return rng.normal(size=(rows, 2 * columns)).astype(np.float32)[:, ::2]
    if kind == "backwards":
        return rng.normal(size=(rows, columns)).astype(np.float32)[::-1]
    return rng.normal(size=(rows, columns)).astype(np.float32)


def check(a, b, threads, isa):
    """Within γ_K |A|·|B| of the product in float64 (Higham 2002, eq. 3.13), γ_K = K·u / (1 − K·u)."""
    k = a.shape[1]
    bound = (k + 1) * EPSILON / (1 - (k + 1) * EPSILON)
    c = _native.matmul(a, b, threads, isa=isa)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    allowed = bound * (np.abs(wide_a) @ np.abs(wide_b)) + 1e-37
    assert c.shape == (a.shape[0], b.shape[1])
    assert (np.abs(c - wide_a @ wide_b) <= allowed).all()
    return c


SIDES = st.one_of(st.integers(0, 3), st.integers(4, 40), st.integers(41, 120))
KINDS = st.sampled_from(["plain", "transposed", "spread", "backwards"])


@settings(deadline=None, max_examples=150)
@given(m=SIDES, n=SIDES, k=st.one_of(SIDES, st.integers(250, 530)), kinds=st.tuples(KINDS, KINDS), seed=st.integers(0))
def test_products_of_any_size_and_stride(m, n, k, kinds, seed):
    rng = np.random.default_rng(seed)
    a, b = strided(rng, m, k, kinds[0]), strided(rng, k, n, kinds[1])
    for isa in ISAS:
        one = check(a, b, 1, isa)
        for threads in (2, 3):
            np.testing.assert_array_equal(_native.matmul(a, b, threads, isa=isa), one)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("m", "n", "k"), [(505, 33, 257), (1, 4099, 300), (4100, 3, 7), (513, 4097, 1)])
def test_across_the_borders_of_every_block(m, n, k, isa):
    rng = np.random.default_rng(0)
    check(strided(rng, m, k, "plain"), strided(rng, k, n, "plain"), 2, isa)


@settings(deadline=None, max_examples=60)
@given(m=SIDES, n=SIDES, k=SIDES, kinds=st.tuples(KINDS, KINDS), levels=st.integers(1, 3), seed=st.integers(0))
def test_strassen_within_highams_bound(m, n, k, kinds, levels, seed):
    """Higham 2002, §23.2.2: |C − Ĉ| ≤ (18^levels (k₀² + 6 k₀)) u max|A| max|B| with k₀ = ⌈k / 2^levels⌉."""
    rng = np.random.default_rng(seed)
    a, b = strided(rng, m, k, kinds[0]), strided(rng, k, n, kinds[1])
    inner = -(-k // 2**levels)
    largest = np.abs(a).max(initial=0).astype(np.float64) * np.abs(b).max(initial=0)
    allowed = 18**levels * (inner**2 + 6 * inner) * EPSILON * largest
    exact = a.astype(np.float64) @ b.astype(np.float64)
    for isa in ISAS:
        c = _native.matmul(a, b, 1, isa=isa, levels=levels)
        assert c.shape == (m, n)
        assert (np.abs(c - exact) <= allowed).all()
        np.testing.assert_array_equal(_native.matmul(a, b, 3, isa=isa, levels=levels), c)


@pytest.mark.parametrize("isa", ISAS)
def test_strassen_on_small_whole_numbers_is_exact(isa):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, size).astype(np.float32) for size in ((70, 90), (90, 50)))
    for levels in (1, 2, 3):
        np.testing.assert_array_equal(_native.matmul(a, b, isa=isa, levels=levels), a @ b)


@pytest.mark.parametrize("isa", ISAS)
def test_nan_and_infinity_come_through(isa):
    a, b = np.ones((3, 4), np.float32), np.ones((4, 40), np.float32)
    a[0, 1], b[2, 39] = np.nan, np.inf
    c = _native.matmul(a, b, isa=isa)
    assert np.isnan(c[0]).all()
    assert np.isposinf(c[1:, 39]).all()
    assert (c[1:, :39] == 4).all()


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (np.zeros((2, 3), np.float32), np.zeros((4, 2), np.float32), ValueError, "a has 3 columns and b 4 rows"),
        (np.zeros((2, 3)), np.zeros((3, 2)), TypeError, r"a must be float32 with two axes, not float64\[2, 3\]"),
        (np.zeros((2, 3), np.float32), [1], TypeError, "b must be a matrix of float32 in main memory, not list"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(a, b, error, message):
    with pytest.raises(error, match=f"^matmul: {message}"):
        _native.matmul(a, b)


def test_levels_are_few():
    with pytest.raises(ValueError, match=r"^matmul: levels must be from 0 to 8, not 9$"):
        _native.matmul(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), levels=9)


def test_there_is_no_reference_product():
    with pytest.raises(ValueError, match=r"^matmul: has no reference kernels"):
        _native.matmul(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), isa="reference")
