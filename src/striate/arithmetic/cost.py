"""What a layer costs: parameters, and multiply-adds for one image.

    convolution            ∏F · (D1 / groups) · D2 weights, each used at every one of ∏out outputs
    transposed convolution the same weights, each used at every one of ∏in inputs
    linear                 D1·D2 weights, each used once for every position
    recurrent              gates · (D1 + H) · H weights, each used once for every step
    attention              four linear layers, and two products of T_q × T_k × E
    pool                   nothing to learn and nothing to multiply

One multiply-add is one MAC; two floating-point operations make one (`flops == 2 * macs`). Biases are parameters but
not MACs, as in He 2015, table 1. Axes are counted with ∏: one, two or three of them.

>>> conv(3, 10, kernel=(5, 5), out=(32, 32)).params               # CS231n: ten 5×5 filters on 32×32×3
760
>>> conv(3, 6, kernel=(5, 5), out=(28, 28), bias=False)           # CS231n: six 5×5×3 filters on 32×32×3
Cost(params=450, macs=352800)
>>> linear(32 * 32 * 3, 28 * 28 * 6, bias=False).macs             # the same map, fully connected: the slides' 14.5M
14450688
>>> conv(3, 96, kernel=(11, 11), out=(55, 55), bias=False).params # AlexNet's conv1, the slides' "35K"
34848
"""

import math
from dataclasses import dataclass

__all__ = ["Cost", "attention", "conv", "conv_transposed", "linear", "matmul", "pool", "recurrent"]


@dataclass(frozen=True)
class Cost:
    """Parameters of a layer, and its multiply-adds for one image; costs add up.

    >>> conv(64, 64, kernel=(3, 3), out=(8, 8), bias=False) + linear(64, 10)
    Cost(params=37514, macs=2359936)
    """

    params: int = 0
    macs: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-add is two."""
        return 2 * self.macs

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs)


def conv(
    in_channels: int,
    out_channels: int,
    *,
    kernel: tuple[int, ...],
    out: tuple[int, ...],
    groups: int = 1,
    bias: bool = True,
) -> Cost:
    """A convolution with `kernel` px along each axis whose output is `out` px along each.

    >>> conv(96, 256, kernel=(5, 5), out=(27, 27), groups=2).params   # AlexNet's conv2, on two devices
    307456
    """
    weights = math.prod(kernel) * (in_channels // groups) * out_channels
    return Cost(weights + out_channels * bias, weights * math.prod(out))


def conv_transposed(
    in_channels: int,
    out_channels: int,
    *,
    kernel: tuple[int, ...],
    input: tuple[int, ...],
    groups: int = 1,
    bias: bool = True,
) -> Cost:
    """A transposed convolution on `input` px along each axis: every input is multiplied by the whole filter.

    >>> conv_transposed(21, 21, kernel=(4, 4), input=(16, 16), bias=False)   # FCN's first upsampling, Long 2015
    Cost(params=7056, macs=1806336)
    """
    weights = math.prod(kernel) * in_channels * (out_channels // groups)
    return Cost(weights + out_channels * bias, weights * math.prod(input))


def linear(in_features: int, out_features: int, *, positions: int = 1, bias: bool = True) -> Cost:
    """A fully connected layer, used at `positions` places (pixels, tokens) of one image."""
    weights = in_features * out_features
    return Cost(weights + out_features * bias, weights * positions)


def matmul(rows: int, inner: int, columns: int, *, batch: int = 1) -> Cost:
    """A product of matrices, rows × inner by inner × columns; nothing is learnt.

    >>> matmul(197, 64, 197, batch=12).macs      # queries by keys in ViT-B/16
    29805312
    """
    return Cost(0, batch * rows * inner * columns)


def recurrent(
    in_features: int, hidden: int, *, steps: int, gates: int = 1, directions: int = 1, bias: bool = True
) -> Cost:
    """One recurrent layer: `gates` is 1 for a vanilla RNN, 3 for a GRU, 4 for an LSTM. Two biases, as torch has.

    >>> recurrent(10, 20, steps=5, gates=4).params
    2560
    """
    weights = directions * gates * hidden * (in_features + hidden)
    return Cost(weights + directions * gates * hidden * 2 * bias, weights * steps)


def attention(embedding: int, *, queries: int, keys: int | None = None, bias: bool = True) -> Cost:
    """Attention with `embedding` numbers a token, however many heads share them: projections and the two products.

    >>> attention(768, queries=197)              # ViT-B/16
    Cost(params=2362368, macs=524391936)
    """
    keys = queries if keys is None else keys
    ends = linear(embedding, embedding, positions=queries, bias=bias)
    middles = linear(embedding, embedding, positions=keys, bias=bias)
    product = matmul(queries, embedding, keys)
    return ends + middles + middles + product + product + ends


def pool() -> Cost:
    """A pool: it compares or adds, and has no parameters.

    >>> pool()
    Cost(params=0, macs=0)
    """
    return Cost()
