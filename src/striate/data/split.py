"""A seeded, stratified split: a function of the seed and of each sample's key, and of nothing else.

Every sample gets 64 random bits, Philox of (split seed, hash of its key), and within each class those with the smallest
bits are taken. The order of the files, the threads and the folder's place on the disk cannot matter; and since each
sample draws alone, adding or losing a few images moves no more than those few across the line, so what was tested on
yesterday is not trained on today.

How many are taken per class: the exact share rounded down, and what is then missing from the rounded total goes to the
classes with the largest remainders (Hamilton's method), so each class is within one of its share and so is the whole.
"""

import hashlib
import math
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.data.members import members_of
from striate.errors import StriateError

__all__ = ["check_fraction", "split"]

STREAM = 1  # Philox streams below 16 belong to the data room; 0 is the order of an epoch


def split(
    labels: NDArray[np.int64], keys: Sequence[str], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (kept, taken), int64, each ascending: together all samples, each once.

    `fraction` of every class is taken, to within one sample, but never the last sample of a class.
    """
    check_fraction("fraction", fraction)
    members = members_of(labels, _ranks(keys, seed)).values()
    shares = _shares(np.array([len(own) for own in members], np.int64), fraction)
    taken = [own[:share] for own, share in zip(members, shares, strict=True)]
    chosen = np.sort(np.concatenate([np.empty(0, np.int64), *taken]))
    return np.setdiff1d(np.arange(len(labels)), chosen, assume_unique=True), chosen


def check_fraction(name: str, fraction: float) -> None:
    """Raises StriateError, naming the setting, unless 0 ≤ fraction < 1."""
    known = isinstance(fraction, int | float | np.number) and not isinstance(fraction, bool)
    if not (known and 0 <= fraction < 1):
        raise StriateError(f"{name} is {fraction!r}; it is the share of the images set aside, from 0 (none) to below 1")


def _ranks(keys: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Each sample's place, int64[N], when all are sorted by their random bits, equal bits by their key."""
    hashes = np.array([_hash(key) for key in keys], dtype=np.int64)
    words = _native.philox(seed, 0, hashes, STREAM).astype(np.uint64)
    bits = words[:, 0] << np.uint64(32) | words[:, 1]
    by_key = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    order = by_key[np.argsort(bits[by_key], kind="stable")]  # a million pairs of NumPy's number and a text take 40 s
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys))
    return ranks


def _hash(key: str) -> int:
    """63 bits of a key; the composed form, since some file systems store é as two characters and some as one."""
    digest = hashlib.blake2b(unicodedata.normalize("NFC", key).encode("utf-8", "surrogateescape"), digest_size=8)
    return int.from_bytes(digest.digest(), "little") >> 1


def _shares(counts: NDArray[np.int64], fraction: float) -> list[int]:
    """How many of each class to take; Hamilton's method, ties to the smaller label, one sample of each class kept."""
    exact = [int(count) * fraction for count in counts]
    shares = [math.floor(share) for share in exact]  # below the count, since fraction < 1
    missing = round(sum(exact)) - sum(shares)
    by_remainder = sorted(range(len(exact)), key=lambda c: (shares[c] - exact[c], c))
    for c in [c for c in by_remainder if shares[c] < min(exact[c], counts[c] - 1)][:missing]:
        shares[c] += 1
    return shares
