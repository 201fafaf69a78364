"""Noise that goes on at test time: a drawn net instead of the average net, and the same one whenever it is asked for.

    with Sampling(net, seed=0) as drawn:
        scores = drawn(x, images=[7, 7, 7], samples=[0, 1, 2])     # three draws for image 7

Only the layers that draw are put in training mode; batch norm goes on using its running statistics. What they draw is
not torch's next random number but Philox of (seed, image, sample, the number of the draw within the pass), so that
neither the batch, nor the order, nor what was drawn before changes anything. All views of an image share a sample's
draws: a sample is one net that looks at the image from several sides. (Gal and Ghahramani 2016, "Dropout as a Bayesian
approximation", average such nets.)
"""

import types
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from striate import _native
from striate.augment.draw import chance
from striate.errors import StriateError
from striate.nets.layers import DropConnect, Dropout, DropPath, Swapout
from striate.nets.mode import Mode

__all__ = ["Sampling", "noisy_layers"]

STREAMS = 1 << 31  # the first Philox stream of test time: noises of training count from 16, and are fewer than this
NOISY = (_DropoutNd, Dropout, DropConnect, DropPath, Swapout)


def noisy_layers(net: nn.Module) -> list[nn.Module]:
    """The layers of `net` that draw, those with nothing to draw (p = 0) left out."""
    return [layer for layer in net.modules() if isinstance(layer, NOISY) and getattr(layer, "p", 1) != 0]


@final
class Sampling:
    """`net` with its noise left on, for as long as the `with` lasts.

    Raises StriateError for a net in which no layer draws.
    """

    def __init__(self, net: nn.Module, *, seed: int = 0, name: str = "the net") -> None:
        self._net, self._seed = net, seed
        self._layers = noisy_layers(net)
        if not self._layers:
            raise StriateError(
                f"{name} has no dropout, DropConnect, stochastic depth or swapout to sample from; leave out the samples"
            )

    def __enter__(self) -> "Sampling":
        self._per = {layer: layer.per for layer in self._layers if isinstance(layer, DropPath)}
        for layer in self._layers:
            layer.training = True  # the layer alone: `train()` would reach its children
        for layer in self._per:
            layer.per = "sample"  # every row is a mini-batch of its own
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for layer in self._layers:
            layer.training = False
        for layer, per in self._per.items():
            layer.per = per

    def __call__(self, x: Tensor, images: Sequence[int], samples: Sequence[int]) -> Tensor:
        """The scores of x [R, C, H, W]; row r is sample `samples[r]` for image number `images[r]`."""
        rows = list(zip(images, samples, strict=True))
        # Not inference mode: there torch hands dropout over whole, instead of the Bernoulli variables that it asks for.
        with torch.inference_mode(False), torch.no_grad(), _Draws(self._seed, rows):
            scores: Tensor = self._net(x)
            return scores


class _Draws(Mode):
    """Answers torch's requests for Bernoulli variables, a row at a time."""

    def __init__(self, seed: int, rows: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._seed = seed
        self._drawn = 0
        self._distinct = list(dict.fromkeys(rows))
        number = {key: i for i, key in enumerate(self._distinct)}
        self._of_row = np.array([number[key] for key in rows], np.int64)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.bernoulli_.float:
            return args[0].copy_(self._ones(args[0], args[1] if len(args) > 1 else (kwargs or {}).get("p", 0.5)))
        if func is torch.ops.aten.native_dropout.default:  # dropout on a GPU
            kept = 1 - args[1]
            mask = self._ones(args[0], kept)
            return args[0] * mask / kept, mask.bool()
        return func(*args, **(kwargs or {}))

    def _ones(self, like: Tensor, p: float) -> Tensor:
        """Ones with probability `p` and zeros, in the shape of `like`, whose rows are the batch's."""
        if len(like) != len(self._of_row):
            raise StriateError(
                f"a layer drew for {len(like)} rows of a batch of {len(self._of_row)}: it cannot be sampled"
            )
        each = like[0].numel()
        stream = STREAMS + self._drawn
        self._drawn += 1
        blocks = np.arange(-(-each // 4), dtype=np.int64)
        kept = np.empty((len(self._distinct), each), np.bool_)
        for row, (image, sample) in enumerate(self._distinct):
            words = _native.philox(self._seed, image, (sample << 32) | blocks, stream).reshape(-1)[:each]
            kept[row] = chance(words, p)
        drawn = torch.from_numpy(kept[self._of_row]).view(like.shape)
        return drawn.to(device=like.device, dtype=like.dtype)
