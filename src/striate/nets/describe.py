"""What a torch layer is in words and in windows: the one place that reads kernel sizes off modules."""

from torch import nn

from striate.arithmetic import Window
from striate.nets.flatten import FlattenExactly

__all__ = ["describe", "windows"]

_Size = int | tuple[int, ...]  # as torch keeps it: one number, or (height, width)
_Axes = tuple[Window, Window]

_NAMES: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.MaxPool2d: "max-pool",
    nn.AvgPool2d: "average-pool",
    nn.AdaptiveAvgPool2d: "adaptive average-pool",
    nn.Linear: "linear",
    nn.BatchNorm1d: "batch norm",
    nn.BatchNorm2d: "batch norm",
    nn.LocalResponseNorm: "local response norm",
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.Dropout: "dropout",
    nn.Flatten: "flatten",
    FlattenExactly: "flatten",
}


def windows(layer: nn.Module) -> tuple[Window, Window] | None:
    """The windows along height and width of a convolution or a pool; None for any other layer, and for 'same'."""
    if isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str):
        return _windows(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, nn.MaxPool2d):
        return _windows(layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    if isinstance(layer, nn.AvgPool2d):
        return _windows(layer.kernel_size, layer.stride, layer.padding, 1, layer.ceil_mode)
    return None


def describe(layer: nn.Module) -> str:
    """A layer in a few words.

    >>> describe(nn.Conv2d(3, 96, 11, stride=4)), describe(nn.MaxPool2d(2)), describe(nn.Linear(3, 4))
    ('conv 11×11, stride 4', 'max-pool 2×2, stride 2', 'linear')
    """
    words = _NAMES.get(type(layer), type(layer).__name__)
    axes = windows(layer)
    if axes is None:
        return words
    rows, columns = axes
    words += f" {rows.kernel}×{columns.kernel}"
    if rows.stride != columns.stride:
        words += f", stride {rows.stride}×{columns.stride}"
    elif rows.stride > 1:
        words += f", stride {rows.stride}"
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        words += f", {layer.groups} groups"
    return words


def _windows(kernel: _Size, stride: _Size, padding: _Size, dilation: _Size, ceil_mode: bool = False) -> _Axes:
    rows, columns = (
        Window(k, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode)
        for k, s, p, d in zip(_pair(kernel), _pair(stride), _pair(padding), _pair(dilation), strict=True)
    )
    return rows, columns


def _pair(size: _Size) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else size
