"""From what a layer says to the module that computes it: one small function per type, joined by a table.

Each is given the layer and the shapes of what it takes, batch first, and returns a module whose parameters are in the
order of Caffe's blobs. What torch refuses (a negative size, groups that do not divide) it refuses with ValueError or
RuntimeError; `net` turns either into one line that names the layer.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from striate.nets.caffe.layer import Layer
from striate.nets.caffe.messages import choice
from striate.nets.caffe.operations import (
    BNLL,
    AbsVal,
    BatchNorm,
    Bias,
    BiasBy,
    Concat,
    Crop,
    Eltwise,
    Exp,
    InnerProduct,
    Log,
    Power,
    Reshape,
    Scale,
    ScaleBy,
    Slice,
    Split,
    WithinChannelNorm,
)
from striate.nets.caffe.pool import pool

__all__ = ["ACROSS_IMAGES", "BUILDERS", "Shapes", "outputs_of"]

Shapes = Sequence[tuple[int, ...]]
ACROSS_IMAGES = "it works across the images of a batch, which a net here does not"
MOST_OUTPUTS = 1 << 24  # maps or values of one layer; the largest net here has 4,096


def outputs_of(layer: Layer) -> int:
    """How many maps or values a layer that learns them gives. Raises ValueError when it says none."""
    settings = layer.settings("inner_product" if layer.type == "InnerProduct" else "convolution")
    count = int(settings.num_output)
    if not 0 < count <= MOST_OUTPUTS:
        raise ValueError(f"num_output is {count}")
    return count


def _convolution(layer: Layer, shapes: Shapes, outputs: int | None) -> nn.Module:
    return nn.Conv2d(_channels(shapes), outputs or outputs_of(layer), **_window(layer, shapes))


def _deconvolution(layer: Layer, shapes: Shapes, outputs: int | None) -> nn.Module:
    return nn.ConvTranspose2d(_channels(shapes), outputs or outputs_of(layer), **_window(layer, shapes))


def _window(layer: Layer, shapes: Shapes) -> dict[str, Any]:
    settings = layer.settings("convolution")
    if len(shapes[0]) != 4 or _axis(settings.axis, shapes) != 1:
        raise ValueError(f"only convolutions over height and width are known, and it takes {len(shapes[0])} axes")
    return {
        "kernel_size": _pair(settings, "kernel", "kernel_size"),
        "stride": _pair(settings, "stride", "stride", 1),
        "padding": _pair(settings, "pad", "pad", 0),
        "dilation": _each(settings.dilation, "dilation", 1),
        "groups": settings.group,
        "bias": settings.bias_term,
    }


def _pooling(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("pooling")
    method = choice(settings, "pool")
    if method == "STOCHASTIC":
        raise ValueError("stochastic pooling is not known here")
    if len(shapes[0]) != 4:
        raise ValueError(f"it pools over height and width, and takes {len(shapes[0])} axes")
    if settings.global_pooling:
        return nn.AdaptiveMaxPool2d(1) if method == "MAX" else nn.AdaptiveAvgPool2d(1)
    kernel = _pair(settings, "kernel", "kernel_size")
    stride, padding = _pair(settings, "stride", "stride", 1), _pair(settings, "pad", "pad", 0)
    if min(*kernel, *stride) < 1:
        raise ValueError(f"kernel {kernel} and stride {stride} must be at least 1 px")
    ceil_mode = choice(settings, "round_mode") == "CEIL"
    return pool(method, kernel, stride, padding, (shapes[0][2], shapes[0][3]), ceil_mode=ceil_mode)


def _inner_product(layer: Layer, shapes: Shapes, outputs: int | None) -> nn.Module:
    settings = layer.settings("inner_product")
    axis = _after_batch(settings.axis, shapes)
    count = outputs or outputs_of(layer)
    return InnerProduct(shapes[0][axis:], count, axis=axis, bias=settings.bias_term, transpose=settings.transpose)


def _relu(layer: Layer, shapes: Shapes) -> nn.Module:
    slope = layer.settings("relu").negative_slope
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _prelu(layer: Layer, shapes: Shapes) -> nn.Module:
    return nn.PReLU(1 if layer.settings("prelu").channel_shared else _channels(shapes), init=0.25)


def _elu(layer: Layer, shapes: Shapes) -> nn.Module:
    return nn.ELU(layer.settings("elu").alpha)


def _power(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("power")
    return Power(power=settings.power, scale=settings.scale, shift=settings.shift)


def _exp(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("exp")
    return Exp(base=settings.base, scale=settings.scale, shift=settings.shift)


def _log(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("log")
    return Log(base=settings.base, scale=settings.scale, shift=settings.shift)


def _lrn(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("lrn")
    size = settings.local_size
    if size % 2 == 0:
        raise ValueError(f"local_size is {size}; a window has a middle only when it is odd")
    if choice(settings, "norm_region") == "WITHIN_CHANNEL":
        return WithinChannelNorm(size, alpha=settings.alpha, beta=settings.beta)
    # Caffe divides α by the size of the window, as torch does
    return nn.LocalResponseNorm(size, alpha=settings.alpha, beta=settings.beta, k=settings.k)


def _batch_norm(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("batch_norm")
    frozen = settings.HasField("use_global_stats") and settings.use_global_stats
    return BatchNorm(_channels(shapes), eps=settings.eps, momentum=1 - settings.moving_average_fraction, frozen=frozen)


def _scale(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("scale")
    axis = _axis(settings.axis, shapes)
    if len(shapes) == 2:
        if settings.bias_term:
            raise ValueError("a scale by another blob with a bias of its own is not known here")
        return ScaleBy(axis)
    axis = _after_batch(settings.axis, shapes)
    return Scale(_covered(settings, axis, shapes), axis=axis, bias=settings.bias_term)


def _bias(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("bias")
    if len(shapes) == 2:
        return BiasBy(_axis(settings.axis, shapes))
    axis = _after_batch(settings.axis, shapes)
    return Bias(_covered(settings, axis, shapes), axis=axis)


def _covered(settings: Any, axis: int, shapes: Shapes) -> tuple[int, ...]:
    """The sides that a learnt scale or bias covers: `num_axes` of them from `axis` on, −1 for all."""
    end = len(shapes[0]) if settings.num_axes == -1 else axis + settings.num_axes
    if not axis <= end <= len(shapes[0]):
        raise ValueError(f"num_axes is {settings.num_axes}, and from axis {axis} on it has {len(shapes[0]) - axis}")
    return tuple(shapes[0][axis:end])


def _eltwise(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("eltwise")
    coefficients = tuple(settings.coeff)
    operation = choice(settings, "operation")
    if coefficients and (len(coefficients) != len(shapes) or operation != "SUM"):
        raise ValueError(f"{len(coefficients)} coefficients for the {operation} of {len(shapes)} blobs")
    return Eltwise(operation, coefficients)


def _concat(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("concat")
    return Concat(_after_batch(settings.concat_dim if settings.HasField("concat_dim") else settings.axis, shapes))


def _slice(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("slice")
    axis = _after_batch(settings.slice_dim if settings.HasField("slice_dim") else settings.axis, shapes)
    side, pieces = shapes[0][axis], len(layer.tops)
    points = list(settings.slice_point) or [side // pieces * i for i in range(1, pieces)]
    cuts = [0, *points, side]
    sizes = [end - start for start, end in pairwise(cuts)]
    if len(sizes) != pieces or min(sizes) < 1 or (not settings.slice_point and side % pieces):
        raise ValueError(f"cannot cut {side} into {pieces} pieces at {', '.join(map(str, points)) or 'equal parts'}")
    return Slice(sizes, axis)


def _crop(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("crop")
    axis = _after_batch(settings.axis, shapes)
    offsets = list(settings.offset) or [0]
    count = len(shapes[0]) - axis
    offsets = offsets * count if len(offsets) == 1 else offsets
    if len(offsets) != count or len(shapes) != 2:
        raise ValueError(f"{len(offsets)} offsets for {count} axes and {len(shapes)} blobs; a crop takes two blobs")
    return Crop(offsets, axis)


def _reshape(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("reshape")
    return Reshape(settings.shape.dim, axis=settings.axis, num_axes=settings.num_axes)


def _flatten(layer: Layer, shapes: Shapes) -> nn.Module:
    settings = layer.settings("flatten")
    return nn.Flatten(_after_batch(settings.axis, shapes), settings.end_axis)


def _plainly(build: Callable[[Layer, Shapes], nn.Module]) -> "Builder":
    """A builder of a layer whose number of outputs nobody can choose."""
    return lambda layer, shapes, outputs: build(layer, shapes)


Builder = Callable[[Layer, Shapes, int | None], nn.Module]  # outputs: another number than the layer says

BUILDERS: dict[str, Builder] = {
    "AbsVal": _plainly(lambda layer, shapes: AbsVal()),
    "BNLL": _plainly(lambda layer, shapes: BNLL()),
    "BatchNorm": _plainly(_batch_norm),
    "Bias": _plainly(_bias),
    "Concat": _plainly(_concat),
    "Convolution": _convolution,
    "Crop": _plainly(_crop),
    "Deconvolution": _deconvolution,
    "Dropout": _plainly(lambda layer, shapes: nn.Dropout(layer.settings("dropout").dropout_ratio)),
    "ELU": _plainly(_elu),
    "Eltwise": _plainly(_eltwise),
    "Exp": _plainly(_exp),
    "Flatten": _plainly(_flatten),
    "InnerProduct": _inner_product,
    "LRN": _plainly(_lrn),
    "Log": _plainly(_log),
    "PReLU": _plainly(_prelu),
    "Pooling": _plainly(_pooling),
    "Power": _plainly(_power),
    "ReLU": _plainly(_relu),
    "Reshape": _plainly(_reshape),
    "Scale": _plainly(_scale),
    "Sigmoid": _plainly(lambda layer, shapes: nn.Sigmoid()),
    "Slice": _plainly(_slice),
    "Softmax": _plainly(lambda layer, shapes: nn.Softmax(layer.settings("softmax").axis)),
    "Split": _plainly(lambda layer, shapes: Split(len(layer.tops))),
    "TanH": _plainly(lambda layer, shapes: nn.Tanh()),
}


def _channels(shapes: Shapes) -> int:
    if len(shapes[0]) < 2:
        raise ValueError("it takes channels, and would get none")
    return shapes[0][1]


def _axis(axis: int, shapes: Shapes) -> int:
    """An axis counted from the front. Raises ValueError when there is none."""
    count = len(shapes[0])
    if not -count <= axis <= count:
        raise ValueError(f"it is told axis {axis} of {count}")
    return axis % count if axis < 0 else axis


def _after_batch(axis: int, shapes: Shapes) -> int:
    """An axis counted from the front that is not the batch, which a net here takes in any number."""
    found = _axis(axis, shapes)
    if found == 0:
        raise ValueError(ACROSS_IMAGES)
    return found


def _pair(settings: Any, short: str, full: str, default: int | None = None) -> tuple[int, int]:
    """Height and width: `short`_h and `short`_w, or `full` for both."""
    if settings.HasField(f"{short}_h") or settings.HasField(f"{short}_w"):
        height, width = getattr(settings, f"{short}_h"), getattr(settings, f"{short}_w")
        if not (settings.HasField(f"{short}_h") and settings.HasField(f"{short}_w")) and default is None:
            raise ValueError(f"it says {short}_h or {short}_w and not the other")
        return height, width
    return _each(getattr(settings, full), full, default)


def _each(given: Any, name: str, default: int | None) -> tuple[int, int]:
    values = [given] if isinstance(given, int) else list(given)
    if not values:
        values = [] if default is None else [default]
    if len(values) not in (1, 2) or (default is None and 0 in values):
        raise ValueError(f"{name} is {' '.join(map(str, values)) or 'not said'}; give one number, or height and width")
    return values[0], values[-1]
