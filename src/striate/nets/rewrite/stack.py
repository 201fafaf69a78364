"""A K×K convolution as a stack of 3×3: the same field of view, fewer weights, more ReLUs.

one 7×7   49·C²      three 3×3   27·C²      (Simonyan and Zisserman 2014, §2.3)
"""

from torch import nn

from striate.errors import StriateError
from striate.nets.rewrite.plain import check_plain, pair

__all__ = ["as_3x3_stack"]


def as_3x3_stack(conv: nn.Conv2d) -> nn.Sequential:
    """(K − 1) / 2 convolutions of 3×3 with ReLUs between: [N, C, H, W] → the shape that `conv` gives.

    The weights are new (He, fan out), since a stack is another function: train it. The padding goes to the first
    layers, the stride to the last, which gives the same output size for every input.

    Raises StriateError for a kernel that is not square and odd, or smaller than 5; or for more padding than K − 1.

    >>> old = nn.Conv2d(64, 64, 7, padding=3, bias=False)
    >>> new = as_3x3_stack(old)
    >>> sum(p.numel() for p in new.parameters()) / sum(p.numel() for p in old.parameters()) == 27 / 49
    True
    """
    check_plain(conv)
    kernel, padding, stride, dilation = (
        pair(size) for size in (conv.kernel_size, conv.padding, conv.stride, conv.dilation)
    )
    side, depth = kernel[0], (kernel[0] - 1) // 2
    if kernel[0] != kernel[1] or side % 2 == 0 or side < 5:
        raise StriateError(f"cannot stack 3×3 convolutions to {side}×{kernel[1]}: the kernel has to be 5×5, 7×7, 9×9 …")
    paddings = list(zip(*(_spread(p, d, depth) for p, d in zip(padding, dilation, strict=True)), strict=True))
    layers: list[nn.Module] = []
    for i in range(depth):
        last = i == depth - 1
        layer = nn.Conv2d(
            conv.in_channels if i == 0 else conv.out_channels,
            conv.out_channels,
            3,
            stride=stride if last else 1,
            padding=paddings[i],
            dilation=dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
            device=conv.weight.device,
            dtype=conv.weight.dtype,
        )
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        layers += [layer] if last else [layer, nn.ReLU()]
    return nn.Sequential(*layers)


def _spread(padding: int, dilation: int, depth: int) -> list[int]:
    """The padding of each layer: what keeps the size (`dilation` px), as long as there is any.

    >>> _spread(3, 1, 3), _spread(1, 1, 2), _spread(3, 2, 2)
    ([1, 1, 1], [1, 0], [2, 1])
    """
    most = 2 * dilation * depth
    if padding > most:
        raise StriateError(f"cannot stack 3×3 convolutions under {padding} px of padding: {most} px are the most")
    step = dilation if padding <= dilation * depth else 2 * dilation
    spread: list[int] = []
    for _ in range(depth):
        spread.append(min(step, padding - sum(spread)))
    return spread
