"""Philox4x32-10 against the vectors published with it and against its definition in whole numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate import _native

# Random123 (Salmon 2011), tests/kat_vectors, "philox4x32 10": counter, key, result
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    np.testing.assert_array_equal(_native.philox_block(words(counter), words(key)), words(result))


def block(counter, key):
    """Salmon 2011, figure 3, in Python's whole numbers."""
    (r0, l0, r1, l1), (k0, k1) = counter, key
    for _ in range(10):
        left, right = 0xD2511F53 * r0, 0xCD9E8D57 * r1
        r0, l0, r1, l1 = (right >> 32) ^ l0 ^ k0, right % 2**32, (left >> 32) ^ l1 ^ k1, left % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [r0, l0, r1, l1]


uint32 = st.integers(0, 2**32 - 1)


@given(
    seed=st.integers(0, 2**64 - 1),
    epoch=uint32,
    samples=st.lists(st.integers(0, 2**63 - 1), max_size=4),
    stream=uint32,
)
def test_samples_are_counters_and_the_seed_is_the_key(seed, epoch, samples, stream):
    drawn = _native.philox(seed, epoch, np.array(samples, np.int64), stream)
    assert drawn.shape == (len(samples), 4)
    assert drawn.dtype == np.uint32
    wanted = [block((s % 2**32, s >> 32, epoch, stream), (seed % 2**32, seed >> 32)) for s in samples]
    assert drawn.tolist() == wanted


def test_a_sample_draws_the_same_in_any_company():
    together = _native.philox(7, 3, np.arange(100), 1)
    for sample in (0, 42, 99):
        np.testing.assert_array_equal(_native.philox(7, 3, np.array([sample]), 1)[0], together[sample])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 0, [0], 0), ValueError, r"^philox: seed must be from 0 to 2\*\*64 - 1, not -1$"),
        ((2**64, 0, [0], 0), ValueError, "seed must be from 0 to"),
        ((1.5, 0, [0], 0), TypeError, "^philox: seed must be a whole number, not float$"),
        ((0, -1, [0], 0), ValueError, "^philox: epoch must be from 0 to 4294967295, not -1$"),
        ((0, 0, [0], 2**32), ValueError, "^philox: stream must be from 0 to 4294967295, not 4294967296$"),
        ((0, 0, [[0]], 0), TypeError, r"^philox: samples must be int64\[N\], not int64\[1, 1\]$"),
    ],
)
def test_what_does_not_fit_is_said(arguments, error, message):
    seed, epoch, samples, stream = arguments
    with pytest.raises(error, match=message):
        _native.philox(seed, epoch, np.array(samples, np.int64), stream)


def test_a_block_has_four_words_and_its_key_two():
    with pytest.raises(ValueError, match=r"^philox_block: counter must have 4 words and key 2, not 3 and 2$"):
        _native.philox_block(np.zeros(3, np.uint32), np.zeros(2, np.uint32))
