"""Caffe's pools: they round up, and their windows may begin and end in padding.

    outputs = ⌈(n + 2·pad − kernel) / stride⌉ + 1,  less one where padded and the last window would begin at n + pad

An average is over the window as far as the far padding reaches, its padding counted. torch computes the same where the
padding is at most half the kernel; `WidePool` computes the rest.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from striate.arithmetic import Window

__all__ = ["WidePool", "pool"]

Pair = tuple[int, int]


def pool(method: str, kernel: Pair, stride: Pair, padding: Pair, size: Pair, *, ceil_mode: bool) -> nn.Module:
    """A pool ("MAX" or "AVE") for maps of `size` (h, w) px. Raises ValueError where Caffe itself computes nonsense."""
    for k, s, p, n in zip(kernel, stride, padding, size, strict=True):
        if p >= k:
            raise ValueError(f"a padding of {p} leaves a kernel of {k} nothing to see")
        unclipped = -(-(n + 2 * p - k) // s) if ceil_mode else 0
        if max(padding) == 0 and unclipped * s >= n:
            raise ValueError(
                f"its last window lies outside of {n} px (kernel {k}, stride {s}): Caffe has no number there"
            )
    if all(2 * p <= k for p, k in zip(padding, kernel, strict=True)):
        if method == "MAX":
            return nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode)
        return nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil_mode, count_include_pad=True)
    return WidePool(method, kernel, stride, padding, ceil_mode=ceil_mode)


class WidePool(nn.Module):
    """A pool padded by more than half its kernel, which torch's own refuses."""

    def __init__(self, method: str, kernel: Pair, stride: Pair, padding: Pair, *, ceil_mode: bool) -> None:
        super().__init__()
        self.method, self.kernel_size, self.stride = method, kernel, stride
        self.axes = [
            Window(k, stride=s, padding=p, ceil_mode=ceil_mode) for k, s, p in zip(kernel, stride, padding, strict=True)
        ]

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        rows, columns = (axis.out(n) for axis, n in zip(self.axes, size, strict=True))
        far = [
            max(0, (out - 1) * axis.stride + axis.kernel - n - axis.low)
            for axis, n, out in zip(self.axes, size, (rows, columns), strict=True)
        ]
        sides = (self.axes[1].low, far[1], self.axes[0].low, far[0])
        if self.method == "MAX":
            padded = F.pad(x, sides, value=float("-inf"))
            return F.max_pool2d(padded, self.kernel_size, self.stride)[:, :, :rows, :columns]
        sums = F.avg_pool2d(F.pad(x, sides), self.kernel_size, self.stride, divisor_override=1)
        counts = [self._counts(axis, n, out, x) for axis, n, out in zip(self.axes, size, (rows, columns), strict=True)]
        return sums[:, :, :rows, :columns] / (counts[0][:, None] * counts[1])

    @staticmethod
    def _counts(axis: Window, n: int, out: int, x: Tensor) -> Tensor:
        """Pixels of each window along one axis, padding included as far as it reaches."""
        starts = torch.arange(out, device=x.device) * axis.stride - axis.low
        ends = (starts + axis.kernel).clamp(max=n + axis.low)
        return (ends - starts).to(x.dtype)
