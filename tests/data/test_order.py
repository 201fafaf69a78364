"""The order of an epoch: a permutation, a function of (seed, epoch), and uniform over permutations."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from striate import _native
from striate.data.order import epoch_order


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_an_order_is_a_permutation_and_a_function(count, seed, epoch):
    order = epoch_order(count, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))
    assert np.array_equal(order, epoch_order(count, seed, epoch))


def test_an_order_is_the_stable_argsort_of_its_keys():
    for count in (1, 2, 3, 255, 256, 257, 5000):
        words = _native.philox(11, 6, np.arange(count), 0).tolist()
        bits = (count - 1).bit_length()
        keys = [(high << 32 | low) >> bits for high, low, _, _ in words]
        assert epoch_order(count, 11, 6).tolist() == sorted(range(count), key=keys.__getitem__)


def test_every_sample_is_equally_likely_at_every_place():
    count, epochs = 8, 20_000
    counts = np.zeros((count, count))
    for epoch in range(epochs):
        counts[np.arange(count), epoch_order(count, 0, epoch)] += 1
    chi_square = ((counts - epochs / count) ** 2 / (epochs / count)).sum()
    degrees = (count - 1) ** 2
    assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)
