"""What a torch layer is in words and in windows: the one place that reads kernel sizes off modules."""

from torch import nn

from striate.arithmetic import TransposedWindow, Window
from striate.nets.flatten import FlattenExactly
from striate.nets.layers import LocalResponseNorm

__all__ = ["describe", "windows"]

Size = int | tuple[int, ...]  # as torch keeps it: one number for all axes, or one for each

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)

NAMES: dict[type[nn.Module], str] = {
    **dict.fromkeys(CONVOLUTIONS, "conv"),
    **dict.fromkeys(TRANSPOSED, "transposed conv"),
    **dict.fromkeys(MAX_POOLS, "max-pool"),
    **dict.fromkeys(AVERAGE_POOLS, "average-pool"),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), "adaptive average-pool"),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), "adaptive max-pool"),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), "batch norm"),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), "instance norm"),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), "dropout"),
    nn.LayerNorm: "layer norm",
    nn.GroupNorm: "group norm",
    nn.LocalResponseNorm: "local response norm",
    LocalResponseNorm: "local response norm",
    nn.Linear: "linear",
    nn.Embedding: "embedding",
    nn.RNN: "RNN",
    nn.LSTM: "LSTM",
    nn.GRU: "GRU",
    nn.MultiheadAttention: "attention",
    nn.Upsample: "upsample",
    nn.PixelShuffle: "pixel shuffle",
    nn.Identity: "identity",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky relu",
    nn.PReLU: "prelu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.Softmax: "softmax",
    nn.Flatten: "flatten",
    FlattenExactly: "flatten",
}


def windows(layer: nn.Module) -> tuple[Window, ...] | tuple[TransposedWindow, ...] | None:
    """The windows of a convolution or a pool, one for each axis; None for any other layer, and for 'same'."""
    if isinstance(layer, CONVOLUTIONS) and not isinstance(layer.padding, str):
        return _windows(len(layer.kernel_size), layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    if isinstance(layer, TRANSPOSED) and not isinstance(layer.padding, str):
        given = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.output_padding)
        return tuple(
            TransposedWindow(k, stride=s, padding=p, dilation=d, output_padding=o)
            for k, s, p, d, o in zip(*given, strict=True)
        )
    if isinstance(layer, MAX_POOLS):
        axes = MAX_POOLS.index(_kind(layer, MAX_POOLS)) + 1
        return _windows(axes, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    if isinstance(layer, AVERAGE_POOLS):
        axes = AVERAGE_POOLS.index(_kind(layer, AVERAGE_POOLS)) + 1
        return _windows(axes, layer.kernel_size, layer.stride, layer.padding, 1, layer.ceil_mode)
    return None


def describe(layer: nn.Module) -> str:
    """A layer in a few words.

    >>> describe(nn.Conv2d(3, 96, 11, stride=4)), describe(nn.MaxPool2d(2)), describe(nn.Linear(3, 4))
    ('conv 11×11, stride 4', 'max-pool 2×2, stride 2', 'linear')
    >>> describe(nn.Conv1d(8, 8, 3, dilation=4)), describe(nn.ConvTranspose3d(1, 1, 2, stride=(1, 2, 2)))
    ('conv 3, dilation 4', 'transposed conv 2×2×2, stride 1×2×2')
    """
    words = NAMES.get(type(layer), type(layer).__name__)
    axes = windows(layer)
    if axes is None:
        return words
    words += " " + "×".join(str(axis.kernel) for axis in axes)
    words += _setting("stride", [axis.stride for axis in axes]) + _setting("dilation", [axis.dilation for axis in axes])
    if isinstance(layer, CONVOLUTIONS + TRANSPOSED) and layer.groups > 1:
        words += f", {layer.groups} groups"
    return words


def _setting(name: str, values: list[int]) -> str:
    """A setting that is not one everywhere, said once where it is the same along all axes."""
    if set(values) == {1}:
        return ""
    return f", {name} " + (str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values)))


def _kind(layer: nn.Module, kinds: tuple[type[nn.Module], ...]) -> type[nn.Module]:
    return next(kind for kind in kinds if isinstance(layer, kind))


def _windows(
    axes: int, kernel: Size, stride: Size, padding: Size, dilation: Size, ceil_mode: bool = False
) -> tuple[Window, ...]:
    given = (_each(setting, axes) for setting in (kernel, stride, padding, dilation))
    return tuple(
        Window(k, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode) for k, s, p, d in zip(*given, strict=True)
    )


def _each(size: Size, axes: int) -> tuple[int, ...]:
    if isinstance(size, int):
        return (size,) * axes
    return tuple(size) * axes if len(size) == 1 else tuple(size)
