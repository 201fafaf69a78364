"""A convolution whose weights are not shared: every output position has filters of its own.

    y[n, o, p] = b[o, p] + Σ_k W[p, o, k] · patch[n, k, p]          k runs over the C·F_h·F_w values of a patch

For images whose parts mean different things at different places (aligned faces: Taigman 2014, "DeepFace"; the last
layers of Krizhevsky's CIFAR nets, cuda-convnet's `local`). It multiplies as often as the convolution of the same
window and holds H2·W2 times its weights. Computed as one matrix product per position, all of them in one call.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.arithmetic import DoesNotFit, Window

__all__ = ["LocallyConnected2d"]


class LocallyConnected2d(nn.Module):
    """x [N, in_channels, *input_size] → [N, out_channels, h, w].

    `weight` [h·w, out_channels, in_channels·F_h·F_w], positions row by row, a patch in the order of a convolution's
    weight; `bias` [out_channels, h, w]. `kernel`, `stride`, `padding` are px, one number or (height, width); padding is
    the same on both sides. Weights begin as torch begins a convolution's. Raises DoesNotFit for an `input_size` that
    leaves no output, and for images of another size: there are no filters for them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        *,
        input_size: tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.input_size = in_channels, out_channels, input_size
        self.kernel, self.stride, self.padding = _pair(kernel), _pair(stride), _pair(padding)
        self.output_size = tuple(
            Window(f, stride=s, padding=p).out(n)
            for f, s, p, n in zip(self.kernel, self.stride, self.padding, input_size, strict=True)
        )
        patch = in_channels * math.prod(self.kernel)
        self.weight = nn.Parameter(torch.empty(math.prod(self.output_size), out_channels, patch))
        self.bias = nn.Parameter(torch.empty(out_channels, *self.output_size)) if bias else None
        bound = 1 / math.sqrt(patch)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        wanted = (self.in_channels, *self.input_size)
        if tuple(x.shape[1:]) != wanted:
            given = "×".join(map(str, x.shape[1:]))
            raise DoesNotFit(f"locally connected layer for {'×'.join(map(str, wanted))} images got {given}")
        patches = F.unfold(x, self.kernel, padding=self.padding, stride=self.stride)  # N × patch × positions
        y = torch.bmm(patches.permute(2, 0, 1), self.weight.mT)  # positions × N × out
        y = y.permute(1, 2, 0).reshape(len(x), self.out_channels, *self.output_size)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        shapes = f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, input_size={self.input_size}"
        return f"{shapes}, stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
