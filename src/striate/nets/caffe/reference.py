"""The oracle: Caffe's layers as plain NumPy in double precision, one after another, the way Caffe itself goes.

Blobs live in a dictionary by name and are overwritten in place; every pool's window is a loop; no step is fast. It
shares nothing with the nets but the parsed prototxt, and it stays in the tree as what they are held to.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.nets.caffe.layer import Layer, layers_of
from striate.nets.caffe.messages import choice

__all__ = ["forward"]

Array = NDArray[np.float64]
Blobs = Mapping[str, Sequence[NDArray[Any]]]


def forward(net: Any, weights: Blobs, image: str, x: NDArray[Any], until: str) -> Array:
    """What the blob `until` holds at the end, for a batch `x` put into the blob `image`.

    `net` is a NetParameter whose layers are all computed, so give it without losses; `weights` are Caffe's blobs by the
    name of their layer.
    """
    blobs: dict[str, Array] = {image: np.asarray(x, np.float64)}
    for layer in layers_of(net):
        if layer.type not in LAYERS or not all(name in blobs for name in layer.bottoms):
            continue  # data layers, losses, and what hangs on a label
        own = [np.asarray(blob, np.float64) for blob in weights.get(layer.name, ())]
        given = LAYERS[layer.type](layer, own, *(blobs[name] for name in layer.bottoms))
        blobs.update(zip(layer.tops, given if isinstance(given, list) else [given], strict=True))
    return blobs[until]


def _sides(settings: Any, short: str, full: str, default: int) -> tuple[int, int]:
    if settings.HasField(f"{short}_h") or settings.HasField(f"{short}_w"):
        return getattr(settings, f"{short}_h"), getattr(settings, f"{short}_w")
    value = getattr(settings, full)
    values = [value] if isinstance(value, int) else list(value) or [default]
    return values[0], values[-1]


def _geometry(settings: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    dilation = list(settings.dilation) or [1]
    return (
        _sides(settings, "kernel", "kernel_size", 0),
        _sides(settings, "stride", "stride", 1),
        _sides(settings, "pad", "pad", 0),
        (dilation[0], dilation[-1]),
    )


def _convolution(layer: Layer, own: list[Array], x: Array) -> Array:
    """y[o, i, j] = Σ_c Σ_ab W[o, c, a, b] · x[c, i·s + a·d − p, j·s + b·d − p] + bias[o], group by group."""
    settings = layer.settings("convolution")
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = _geometry(settings)
    n, channels, height, width = x.shape
    outputs, groups = settings.num_output, settings.group
    weight = own[0].reshape(outputs, channels // groups, kh, kw)
    rows = (height + 2 * ph - (dh * (kh - 1) + 1)) // sh + 1
    columns = (width + 2 * pw - (dw * (kw - 1) + 1)) // sw + 1
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    y = np.zeros((n, outputs, rows, columns))
    for g in range(groups):
        ins = slice(g * channels // groups, (g + 1) * channels // groups)
        outs = slice(g * outputs // groups, (g + 1) * outputs // groups)
        for a in range(kh):
            for b in range(kw):
                seen = padded[:, ins, a * dh : a * dh + rows * sh : sh, b * dw : b * dw + columns * sw : sw]
                y[:, outs] += np.tensordot(weight[outs, :, a, b], seen[:, :, :rows, :columns], (1, 1)).swapaxes(0, 1)
    return y + own[1].reshape(1, -1, 1, 1) if settings.bias_term else y


def _deconvolution(layer: Layer, own: list[Array], x: Array) -> Array:
    """The transpose of a convolution: every input is spread over the outputs that would have seen it."""
    settings = layer.settings("convolution")
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = _geometry(settings)
    n, channels, height, width = x.shape
    outputs, groups = settings.num_output, settings.group
    weight = own[0].reshape(channels, outputs // groups, kh, kw)
    whole = np.zeros((n, outputs, sh * (height - 1) + dh * (kh - 1) + 1, sw * (width - 1) + dw * (kw - 1) + 1))
    for c in range(channels):
        first = c // (channels // groups) * (outputs // groups)
        for o in range(outputs // groups):
            for a in range(kh):
                for b in range(kw):
                    spread = whole[:, first + o, a * dh : a * dh + sh * (height - 1) + 1 : sh]
                    spread[:, :, b * dw : b * dw + sw * (width - 1) + 1 : sw] += weight[c, o, a, b] * x[:, c]
    y = whole[:, :, ph : whole.shape[2] - ph, pw : whole.shape[3] - pw]
    return y + own[1].reshape(1, -1, 1, 1) if settings.bias_term else y


def _pooling(layer: Layer, own: list[Array], x: Array) -> Array:
    """Every window clipped to the padded image for its size, and to the image for what it sees."""
    settings = layer.settings("pooling")
    height, width = x.shape[2:]
    (kh, kw), (sh, sw) = _sides(settings, "kernel", "kernel_size", 0), _sides(settings, "stride", "stride", 1)
    ph, pw = _sides(settings, "pad", "pad", 0)
    if settings.global_pooling:
        kh, kw = height, width
    turn = math.ceil if choice(settings, "round_mode") == "CEIL" else math.floor
    rows, columns = turn((height + 2 * ph - kh) / sh) + 1, turn((width + 2 * pw - kw) / sw) + 1
    if ph or pw:
        rows -= (rows - 1) * sh >= height + ph
        columns -= (columns - 1) * sw >= width + pw
    y = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * sh - ph, j * sw - pw
            bottom, right = min(top + kh, height + ph), min(left + kw, width + pw)
            count = (bottom - top) * (right - left)
            seen = x[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
            y[:, :, i, j] = seen.max((2, 3)) if choice(settings, "pool") == "MAX" else seen.sum((2, 3)) / count
    return y


def _inner_product(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("inner_product")
    axis = settings.axis % x.ndim
    rows = x.reshape(*x.shape[:axis], -1)
    weight = own[0].reshape(rows.shape[-1], -1).T if settings.transpose else own[0].reshape(-1, rows.shape[-1])
    y = rows @ weight.T
    return y + own[1].reshape(-1) if settings.bias_term else y


def _lrn(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("lrn")
    n, half = settings.local_size, settings.local_size // 2
    squares = x**2
    if choice(settings, "norm_region") == "WITHIN_CHANNEL":
        padded = np.pad(squares, ((0, 0), (0, 0), (half, half), (half, half)))
        total = sum(padded[:, :, a : a + x.shape[2], b : b + x.shape[3]] for a in range(n) for b in range(n))
        return np.asarray(x / (1 + settings.alpha / n**2 * total) ** settings.beta)
    padded = np.pad(squares, ((0, 0), (half, half), (0, 0), (0, 0)))
    total = sum(padded[:, c : c + x.shape[1]] for c in range(n))
    return np.asarray(x / (settings.k + settings.alpha / n * total) ** settings.beta)


def _batch_norm(layer: Layer, own: list[Array], x: Array) -> Array:
    factor = 0 if own[2].item() == 0 else 1 / own[2].item()
    mean, variance = (_lay(blob.reshape(-1) * factor, x, 1) for blob in own[:2])
    return np.asarray((x - mean) / np.sqrt(variance + layer.settings("batch_norm").eps))


def _scale(layer: Layer, own: list[Array], x: Array, *by: Array) -> Array:
    settings = layer.settings("scale")
    y = x * _lay(by[0] if by else own[0], x, settings.axis)
    return y + _lay(own[1], x, settings.axis) if settings.bias_term else y


def _bias(layer: Layer, own: list[Array], x: Array, *by: Array) -> Array:
    return x + _lay(by[0] if by else own[0], x, layer.settings("bias").axis)


def _lay(small: Array, x: Array, axis: int) -> Array:
    return small.reshape(*small.shape, *[1] * (x.ndim - axis % x.ndim - small.ndim))


def _eltwise(layer: Layer, own: list[Array], *xs: Array) -> Array:
    settings = layer.settings("eltwise")
    stack = np.stack(xs)
    match choice(settings, "operation"):
        case "SUM":
            return np.tensordot(np.array(list(settings.coeff) or [1.0] * len(xs)), stack, 1)
        case "PROD":
            return np.asarray(np.prod(stack, 0))
        case _:
            return np.asarray(np.max(stack, 0))


def _slice(layer: Layer, own: list[Array], x: Array) -> list[Array]:
    settings = layer.settings("slice")
    axis = settings.slice_dim if settings.HasField("slice_dim") else settings.axis
    return np.split(x, list(settings.slice_point) or len(layer.tops), axis)


def _concat(layer: Layer, own: list[Array], *xs: Array) -> Array:
    settings = layer.settings("concat")
    return np.concatenate(xs, settings.concat_dim if settings.HasField("concat_dim") else settings.axis)


def _crop(layer: Layer, own: list[Array], x: Array, like: Array) -> Array:
    settings = layer.settings("crop")
    for axis in range(settings.axis % x.ndim, x.ndim):
        given = list(settings.offset) or [0]
        start = given[0] if len(given) == 1 else given[axis - settings.axis % x.ndim]
        x = x.take(range(start, start + like.shape[axis]), axis)
    return x


def _reshape(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("reshape")
    start = settings.axis if settings.axis >= 0 else x.ndim + settings.axis + 1
    end = x.ndim if settings.num_axes == -1 else start + settings.num_axes
    dims = [x.shape[start + i] if dim == 0 else dim for i, dim in enumerate(settings.shape.dim)]
    return x.reshape(*x.shape[:start], *dims, *x.shape[end:])


def _flatten(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("flatten")
    first, last = settings.axis % x.ndim, settings.end_axis % x.ndim
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])


def _prelu(layer: Layer, own: list[Array], x: Array) -> Array:
    return np.maximum(x, 0) + _lay(own[0].reshape(-1), x, 1) * np.minimum(x, 0)


def _relu(layer: Layer, own: list[Array], x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + layer.settings("relu").negative_slope * np.minimum(x, 0))


def _elu(layer: Layer, own: list[Array], x: Array) -> Array:
    return np.where(x > 0, x, layer.settings("elu").alpha * np.expm1(np.minimum(x, 0)))


def _power(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("power")
    return np.asarray((settings.shift + settings.scale * x) ** settings.power)


def _exp(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("exp")
    return np.asarray((math.e if settings.base == -1 else settings.base) ** (settings.shift + settings.scale * x))


def _log(layer: Layer, own: list[Array], x: Array) -> Array:
    settings = layer.settings("log")
    return np.asarray(
        np.log(settings.shift + settings.scale * x) / (1 if settings.base == -1 else math.log(settings.base))
    )


def _softmax(layer: Layer, own: list[Array], x: Array) -> Array:
    axis = layer.settings("softmax").axis
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


LAYERS: dict[str, Callable[..., Array | list[Array]]] = {
    "AbsVal": lambda layer, own, x: np.abs(x),
    "BNLL": lambda layer, own, x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _deconvolution,
    "Dropout": lambda layer, own, x: x,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Exp": _exp,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Log": _log,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": lambda layer, own, x: 1 / (1 + np.exp(-x)),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": lambda layer, own, x: [x] * len(layer.tops),
    "TanH": lambda layer, own, x: np.tanh(x),
}
