"""Which samples an epoch holds, and how often: all of them once, every class alike, or by given weights.

An epoch has as many places as there are samples, whatever the law, and is a function of (seed, epoch).

- **all**: a permutation.
- **balanced**: of N places each of K classes gets ⌊N/K⌋, and one more where the remainder, dealt at random anew each
  epoch, falls to it. Within a class nothing comes twice before all has come once: an image of a class of n comes ⌊p/n⌋
  or ⌈p/n⌉ times in its p places. The whole is shuffled.
- **weights** w: every place draws sample i with probability wᵢ / Σw, independently: with replacement, which is the only
  law under which the expectation over an epoch is exactly the weighted one.

A sample that comes again in an epoch is drawn other noise: the noise's number is sample + N · (times it came before).
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate import _native
from striate.data.members import members_of
from striate.data.order import epoch_order
from striate.errors import StriateError

__all__ = ["Sampling", "check_sampling", "drawn", "noise_keys"]

Sampling: TypeAlias = Literal["all", "balanced"] | ArrayLike

REMAINDER, WEIGHTED, WITHIN = 2, 3, 4  # Philox streams of the data room; 0 is the order, 1 the split


def check_sampling(sampling: Sampling, labels: NDArray[np.int64]) -> Literal["all", "balanced"] | NDArray[np.float64]:
    """The law, with weights as their cumulated shares [N]. Raises StriateError for what is none."""
    if isinstance(sampling, str):
        if sampling not in ("all", "balanced"):
            raise StriateError(f"loader: sampling is {sampling!r}; give 'all', 'balanced' or a weight for each sample")
        return sampling  # type: ignore[return-value]  # narrowed above
    weights = np.asarray(sampling, np.float64)
    if weights.shape != labels.shape:
        raise StriateError(
            f"loader: {len(labels)} samples were given weights of shape {list(weights.shape)}, not one each"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise StriateError("loader: weights must be finite, 0 or more, and not all 0")
    shares = np.cumsum(weights)
    return np.asarray(shares / shares[-1])


def drawn(
    law: Literal["all", "balanced"] | NDArray[np.float64],
    labels: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """int64 [N]: the samples of an epoch, shuffled."""
    count = len(labels)
    if isinstance(law, np.ndarray):
        words = _native.philox(seed, epoch, np.arange(count, dtype=np.int64), WEIGHTED).astype(np.uint64)
        uniform = ((words[:, 0] << np.uint64(32) | words[:, 1]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.searchsorted(law, uniform, side="right").astype(np.int64)
    order = epoch_order(count, seed, epoch)
    return order if law == "all" else _balanced(labels, order, seed, epoch)


def noise_keys(samples: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """int64: what the noise of every place is drawn by; the sample's own number where it comes first."""
    grouped = np.argsort(samples, kind="stable")
    ordered = samples[grouped]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
    lengths = np.diff(np.r_[begins, len(ordered)])
    repeats = np.empty(len(samples), np.int64)
    repeats[grouped] = np.arange(len(ordered)) - np.repeat(begins, lengths)
    return samples + count * repeats


def _balanced(labels: NDArray[np.int64], order: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    count = len(labels)
    within = _native.philox(seed, epoch, np.arange(count, dtype=np.int64), WITHIN)[:, 0]
    members = members_of(labels, within)
    places = np.full(len(members), count // len(members))
    luck = _native.philox(seed, epoch, np.array(list(members), np.int64), REMAINDER)[:, 0]
    places[np.argsort(luck, kind="stable")[: count % len(members)]] += 1
    pool: NDArray[np.int64] = np.concatenate(
        [np.resize(own, many) for own, many in zip(members.values(), places, strict=True)]  # cut, or gone through again
    )
    return pool[order]
