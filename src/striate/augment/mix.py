"""Noise that mixes two images of a batch, and their labels: Mixup (Zhang 2018) and CutMix (Yun 2019).

A sample's partner is the one that stands opposite in its batch, first with last. How much is mixed, and where, is drawn
for each sample from its own words, as every noise here draws; who the partner is depends on the epoch's order, which
is a function of (seed, epoch) too. Testing sees images unmixed: λ = 1 is where the law of labels is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.augment.checks import check_at_least
from striate.augment.draw import below, uniform

if TYPE_CHECKING:  # torch itself is loaded where something is mixed: looking at data should not wait for it
    from torch import Tensor

__all__ = ["CutMix", "Mixed", "Mixup", "mix"]


class Mixed(NamedTuple):
    """`images` [B, C, h, w]; the label of sample i counts `share[i]`, that of sample `partner[i]` the rest."""

    images: "Tensor"
    partner: "Tensor"  # int64 [B]
    share: "Tensor"  # float32 [B]


@final
@dataclass(frozen=True)
class Mixup:
    """λ x + (1 − λ) x′, λ ~ Beta(alpha, alpha). Raises StriateError unless alpha is above 0."""

    alpha: float = 0.2
    stream: ClassVar[int] = 37

    def __post_init__(self) -> None:
        check_at_least(self, "alpha", 1e-3)

    def apply(
        self, images: "Tensor", partner: "Tensor", words: NDArray[np.uint32]
    ) -> tuple["Tensor", NDArray[np.float64]]:
        import torch

        share = _beta(words[:, 0], self.alpha)
        own = torch.from_numpy(share).to(images)[:, None, None, None]
        return own * images + (1 - own) * images[partner], share


@final
@dataclass(frozen=True)
class CutMix:
    """A rectangle of 1 − λ of the area comes from the partner, λ ~ Beta(alpha, alpha), centred on any pixel.

    Where it is cut off by the image's sides, λ becomes the share that is left. Raises StriateError unless alpha is
    above 0.
    """

    alpha: float = 1.0
    stream: ClassVar[int] = 38

    def __post_init__(self) -> None:
        check_at_least(self, "alpha", 1e-3)

    def apply(
        self, images: "Tensor", partner: "Tensor", words: NDArray[np.uint32]
    ) -> tuple["Tensor", NDArray[np.float64]]:
        import torch

        size = np.array(images.shape[2:])
        cut = np.rint(size * np.sqrt(1 - _beta(words[:, 0], self.alpha))[:, None]).astype(np.int64)  # [B, 2]
        first = below(words[:, 1:3], size) - cut // 2
        low, high = np.maximum(first, 0), np.minimum(first + cut, size)
        top, left, bottom, right = (
            torch.from_numpy(edge).to(images.device)[:, None, None, None]
            for edge in (low[:, 0], low[:, 1], high[:, 0], high[:, 1])
        )
        y = torch.arange(images.shape[2], device=images.device)[:, None]
        x = torch.arange(images.shape[3], device=images.device)
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        return torch.where(inside, images[partner], images), 1 - (high - low).prod(1) / size.prod()


Mixing: TypeAlias = Mixup | CutMix

CHOICE_STREAM = 39  # which of several mixings a batch takes


def mix(images: "Tensor", keys: "Tensor", choices: Sequence[Mixing], seed: int, epoch: int) -> Mixed:
    """Mix a batch by one of the choices, each equally likely (drawn by its first sample).

    `keys` int64 [B] is what is drawn by: the samples' numbers, or those that `Loader.keys` gives to what comes again.
    """
    import torch

    samples = keys.cpu().numpy()
    partner = torch.arange(len(samples) - 1, -1, -1, device=images.device)
    chosen = choices[int(below(_native.philox(seed, epoch, samples[:1], CHOICE_STREAM)[:, 0], len(choices))[0])]
    mixed, share = chosen.apply(images, partner, _native.philox(seed, epoch, samples, chosen.stream))
    return Mixed(mixed, partner, torch.from_numpy(share.astype(np.float32)).to(images.device))


def _beta(words: NDArray[np.uint32], alpha: float) -> NDArray[np.float64]:
    """Beta(alpha, alpha), by its quantile function: one word, one number, whatever alpha."""
    from scipy.special import betaincinv  # here, because few runs mix and it loads a while

    quantile: NDArray[np.float64] = betaincinv(alpha, alpha, uniform(words, 0.0, 1.0))
    return quantile
