"""What a layer costs: parameters, and multiply-adds for one image.

    convolution   F_h·F_w·(D1 / groups)·D2 weights, each used at every one of H2·W2 outputs
    linear        D1·D2 weights, each used once
    pool          nothing to learn and nothing to multiply

One multiply-add is one MAC; two floating-point operations make one (`flops == 2 * macs`). Biases are parameters but
not MACs, as in He 2015, table 1.

>>> conv(3, 10, kernel=(5, 5), out=(32, 32)).params               # CS231n: ten 5×5 filters on 32×32×3
760
>>> conv(3, 6, kernel=(5, 5), out=(28, 28), bias=False)           # CS231n: six 5×5×3 filters on 32×32×3
Cost(params=450, macs=352800)
>>> linear(32 * 32 * 3, 28 * 28 * 6, bias=False).macs             # the same map, fully connected: the slides' 14.5M
14450688
>>> conv(3, 96, kernel=(11, 11), out=(55, 55), bias=False).params # AlexNet's conv1, the slides' "35K"
34848
"""

from dataclasses import dataclass

__all__ = ["Cost", "conv", "linear", "pool"]


@dataclass(frozen=True)
class Cost:
    """Parameters of a layer, and its multiply-adds for one image; costs add up.

    >>> conv(64, 64, kernel=(3, 3), out=(8, 8), bias=False) + linear(64, 10)
    Cost(params=37514, macs=2359936)
    """

    params: int = 0
    macs: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs)


def conv(
    in_channels: int,
    out_channels: int,
    *,
    kernel: tuple[int, int],
    out: tuple[int, int],
    groups: int = 1,
    bias: bool = True,
) -> Cost:
    """A convolution with `kernel` = (height, width) px whose output is `out` = (height, width) px.

    >>> conv(96, 256, kernel=(5, 5), out=(27, 27), groups=2).params   # AlexNet's conv2, on two devices
    307456
    """
    weights = kernel[0] * kernel[1] * (in_channels // groups) * out_channels
    return Cost(weights + out_channels * bias, weights * out[0] * out[1])


def linear(in_features: int, out_features: int, *, bias: bool = True) -> Cost:
    """A fully connected layer."""
    weights = in_features * out_features
    return Cost(weights + out_features * bias, weights)


def pool() -> Cost:
    """A pool: it compares or adds, and has no parameters.

    >>> pool()
    Cost(params=0, macs=0)
    """
    return Cost()
