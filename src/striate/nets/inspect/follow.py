"""Receptive fields through a whole graph: one small rule for each kind of operator that moves elements about.

What has a name in `OWN_PLACE` works element by element; what has neither a rule nor a name there is taken to let every
element see everything. Normalisation and softmax count as element by element: their statistics are not seeing. Writing
into a part of a tensor changes what the whole of it sees, and every other view of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from striate.arithmetic import Field, TransposedWindow, Window
from striate.nets.inspect.count import ELEMENTWISE
from striate.nets.inspect.graph import Graph, Operation, Value, values_in
from striate.nets.inspect.mixed import Look, along, everywhere, indexed, repeated, written_into
from striate.nets.inspect.seen import Factor, Seen, join, overwritten, product, side_by_side

__all__ = ["FOLLOWED", "follow"]

Rule = Callable[[Operation, Look], "Seen | list[Seen | None] | None"]


def follow(graph: Graph, axes: Sequence[int]) -> dict[Value, tuple[Field, ...]]:
    """The field of every tensor that depends on the first input, along that input's dimensions `axes`."""
    if not graph.inputs or not axes:
        return {}
    seen: dict[Value, Seen] = {graph.inputs[0]: Seen.image(graph.inputs[0].shape, axes)}

    in_memory: dict[int, list[Value]] = {}

    def look(value: Any) -> Seen | None:
        return seen.get(value) if isinstance(value, Value) else None

    for operation in graph.operations:
        name = operation.name.rstrip("_") if operation.name not in RULES else operation.name
        found = RULES.get(name, _elementwise if name in OWN_PLACE else everywhere)(operation, look)
        several = found if isinstance(found, list) else [found] * len(operation.outputs)
        for output, one in zip(operation.outputs, several, strict=False):
            lying_there = in_memory.setdefault(output.storage, [])
            lying_there.append(output)
            if one is None:
                continue
            before, seen[output] = seen.get(output), one
            if operation.name.endswith("_") and one != before:  # written, maybe into a part: `out[:, ::2] = y`
                for other in dict.fromkeys(lying_there):
                    if other is not output:
                        seen[other] = overwritten(seen.get(other), before, one, other.shape)
    return {value: one.fields for value, one in seen.items()}


def _elementwise(op: Operation, look: Look) -> Seen | None:
    known = [(value, one) for value in op.inputs if (one := look(value)) is not None]
    if not known or not op.outputs:
        return None
    shape = op.outputs[0].shape
    if all(_broadcasts(value.shape, shape) for value, _ in known):
        return join([one for _, one in known], shape)
    return everywhere(op, look)[0]


def _convolution(op: Operation, look: Look) -> Seen | None:
    x, weight, _, stride, padding, dilation, transposed, output_padding, _ = op.args
    seen = look(x)
    if seen is None:
        return None
    axes = len(weight.shape) - 2
    seen = seen.summed([1], keep=True).resized(1, (Factor(op.outputs[0].shape[1]),))
    given = (_each(setting, axes) for setting in (stride, padding, dilation, output_padding))
    for d, kernel, s, p, gap, extra in zip(range(2, 2 + axes), weight.shape[2:], *given, strict=True):
        window: Window | TransposedWindow
        if transposed:
            window = TransposedWindow(kernel, stride=s, padding=p, dilation=gap, output_padding=extra)
        else:
            window = Window(kernel, stride=s, padding=p, dilation=gap)
        seen = _through(seen, d, window, op.outputs[0].shape[d])
    return seen


def _pool(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    if seen is None:
        return None
    given = list(op.args[1:])
    axes, first = len(_list(given[0])), len(seen.dims) - len(_list(given[0]))
    kernel = _each(given[0], axes)
    stride = _each(given[1], axes) if len(given) > 1 and _list(given[1]) else kernel
    padding = _each(given[2], axes) if len(given) > 2 else [0] * axes
    dilated = op.name.startswith("max") and len(given) > 3
    dilation = _each(given[3], axes) if dilated else [1] * axes
    for i in range(axes):
        window = Window(kernel[i], stride=stride[i], padding=padding[i], dilation=dilation[i])
        seen = _through(seen, first + i, window, op.outputs[0].shape[first + i])
    return seen


def _adaptive(op: Operation, look: Look) -> Seen | None:
    """Window i runs from ⌊iN/O⌋ to ⌈(i+1)N/O⌉; where they differ in size, the mean of them."""
    seen = look(op.args[0])
    if seen is None:
        return None
    axes = len(_list(op.args[1]))
    for d in range(len(seen.dims) - axes, len(seen.dims)):
        n, out = op.args[0].shape[d], op.outputs[0].shape[d]
        starts, ends = [i * n // out for i in range(out)], [-(-(i + 1) * n // out) for i in range(out)]
        step = Fraction(n, out)
        first = sum((start - i * step for i, start in enumerate(starts)), Fraction(0)) / out
        seen = seen.windowed(d, Fraction(sum(ends) - sum(starts), out), step=step, first=first, n=out)
    return seen


def _resize(op: Operation, look: Look) -> Seen | None:
    """Interpolation: by name over 1, 2 or 4 elements; corners aligned or pixel areas."""
    seen = look(op.args[0])
    if seen is None:
        return None
    taps = 1 if "nearest" in op.name else 4 if "cubic" in op.name else 2
    aligned = "nearest" not in op.name and len(op.args) > 2 and op.args[2] is True
    for d in range(2, len(seen.dims)):
        n, out = op.args[0].shape[d], op.outputs[0].shape[d]
        if n == out:
            continue
        if aligned:
            step = Fraction(n - 1, max(out - 1, 1))
            seen = seen.windowed(d, taps, step=step, first=-Fraction(taps - 1, 2), n=out)
            continue
        step = Fraction(n, out)
        reach = max(taps, -(-taps * n // out)) if op.name.endswith("_aa") else taps
        seen = seen.windowed(d, reach, step=step, first=step / 2 - Fraction(reach, 2), n=out)
    return seen


def _pad(op: Operation, look: Look) -> Seen | None:
    """Any padding: element 0 now lies before the first pixel. Mirrored pixels are counted where they are shown."""
    seen = look(op.args[0])
    if seen is None:
        return None
    pads = _list(op.args[1])
    for i in range(len(pads) // 2):
        d = len(seen.dims) - 1 - i
        if pads[2 * i] or pads[2 * i + 1]:
            seen = seen.windowed(d, 1, step=1, first=-pads[2 * i], n=op.outputs[0].shape[d])
    return seen


def _slice(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    if seen is None:
        return None
    x, dim, start, _, step = (*op.args, 0, None, None, 1)[:5] if len(op.args) == 1 else _filled(op.args)
    d = dim % len(seen.dims)
    first = min(max((start or 0) + (x.shape[d] if (start or 0) < 0 else 0), 0), x.shape[d])
    out = op.outputs[0].shape[d]
    return seen if out == x.shape[d] else seen.windowed(d, 1, step=step, first=first, n=out)


def _filled(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """`slice` with its defaults: (input, dim, start, end, step)."""
    return (*args, *(0, None, None, 1)[len(args) - 1 :])


def _select(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    if seen is None:
        return None
    d, index = op.args[1] % len(seen.dims), op.args[2]
    return _picked(seen, d, index % op.args[0].shape[d])


def _unbind(op: Operation, look: Look) -> list[Seen | None]:
    seen = look(op.args[0])
    if seen is None:
        return [None] * len(op.outputs)
    d = (op.args[1] if len(op.args) > 1 else 0) % len(seen.dims)
    return [_picked(seen, d, i) for i in range(len(op.outputs))]


def _picked(seen: Seen, d: int, index: int) -> Seen:
    """One element along a dimension, which is gone then."""
    one = seen.windowed(d, 1, step=1, first=index, n=1)
    return replace(one, dims=(*one.dims[:d], *one.dims[d + 1 :]))


def _split(op: Operation, look: Look) -> list[Seen | None]:
    seen = look(op.args[0])
    if seen is None:
        return [None] * len(op.outputs)
    d = (op.args[2] if len(op.args) > 2 else 0) % len(seen.dims)
    pieces: list[Seen | None] = []
    before = 0
    for output in op.outputs:
        pieces.append(seen.windowed(d, 1, step=1, first=before, n=output.shape[d]))
        before += output.shape[d]
    return pieces


def _cat(op: Operation, look: Look) -> Seen | None:
    known = [(value, look(value)) for value in values_in(op.args[0])]
    shape = op.outputs[0].shape
    d = (op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0)) % len(shape)
    if op.name == "stack":
        known = [(v, one and replace(one, dims=(*one.dims[:d], (Factor(1),), *one.dims[d:]))) for v, one in known]
    if all(one is None for _, one in known):
        return None
    pieces = [one for _, one in known if one is not None and one.dims]
    if len(pieces) < len(known):  # beside parameters, such as a class token
        joined = join([one.summed([d], keep=True) for one in pieces], [*shape[:d], 1, *shape[d + 1 :]])
        return joined.resized(d, (Factor(shape[d]),))
    return side_by_side(pieces, d, shape)


def _view(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    return seen and seen.viewed(op.outputs[0].shape)


def _transpose(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    if seen is None:
        return None
    order = list(range(len(seen.dims)))
    if op.name == "permute":
        order = [d % len(order) for d in op.args[1]]
    elif len(order) > 1:
        a, b = (0, 1) if op.name == "t" else (op.args[1], op.args[2])
        order[a], order[b] = order[b], order[a]
    return seen.reordered(order)


def _reduce(op: Operation, look: Look) -> Seen | None:
    seen = look(op.args[0])
    if seen is None:
        return None
    place = 2 if "norm" in op.name else 1  # after the order of the norm
    dims = op.args[place] if len(op.args) > place and isinstance(op.args[place], int | tuple) else op.kwargs.get("dim")
    every = list(range(len(seen.dims)))
    gone = every if dims is None or dims == () else [d % len(every) for d in _list(dims)]
    return seen.summed(gone, keep=len(op.outputs[0].shape) == len(every))


def _product(op: Operation, look: Look) -> Seen | None:
    bias = op.name in ("addmm", "baddbmm", "addmv")
    a, b = op.args[1:3] if bias else op.args[:2]
    return product(look(a), look(b), op.outputs[0].shape)


def _patches(op: Operation, look: Look) -> Seen | None:
    """im2col: a window along both axes, its taps among the channels, its places as one dimension."""
    seen = look(op.args[0])
    if seen is None:
        return None
    _, kernel, dilation, padding, stride = op.args[:5]
    seen = seen.summed([1], keep=True).resized(1, (Factor(op.outputs[0].shape[1]),))
    for i in range(2):
        window = Window(kernel[i], stride=stride[i], padding=padding[i], dilation=dilation[i])
        seen = _through(seen, 2 + i, window, window.out(op.args[0].shape[2 + i]))
    return replace(seen, dims=(*seen.dims[:2], seen.dims[2] + seen.dims[3]))


def _shuffle(op: Operation, look: Look) -> Seen | None:
    """Channels to pixels, r×r of each, and back."""
    seen = look(op.args[0])
    if seen is None:
        return None
    r, shape = op.args[1], op.outputs[0].shape
    spread = op.name == "pixel_shuffle"
    taps, step = (1, Fraction(1, r)) if spread else (r, r)
    for d in (len(shape) - 2, len(shape) - 1):
        seen = seen.windowed(d, taps, step=step, first=(step - 1) / 2 if spread else 0, n=shape[d])
    return seen.resized(len(shape) - 3, (Factor(shape[-3]),))


def _unfold(op: Operation, look: Look) -> Seen | None:
    """`x.unfold(dim, size, step)`: the places of a window where the dimension was, its taps at the end."""
    seen = look(op.args[0])
    if seen is None:
        return None
    d, size, step = op.args[1] % len(seen.dims), op.args[2], op.args[3]
    if len(seen.dims[d]) != 1:
        return seen.everything(op.outputs[0].shape)
    place = seen.dims[d][0]
    moved = seen.resized(d, (replace(place, n=op.outputs[0].shape[d], jump=place.jump * step),))
    return replace(moved, dims=(*moved.dims, (replace(place, n=size),)))


def _attention(op: Operation, look: Look) -> list[Seen | None]:
    """Every query sees the values of all keys; a fused operator does what two products and a softmax would."""
    queries, keys, values = op.args[:3]
    turned = look(keys)
    turned = turned and turned.reordered([*range(len(keys.shape) - 2), -1, -2])
    scores = product(look(queries), turned, (*queries.shape[:-1], keys.shape[-2]))
    return [product(scores, look(values), op.outputs[0].shape)]


def _embedding(op: Operation, look: Look) -> Seen | None:
    """A row for every number: one dimension more."""
    weight, seen = look(op.args[0]), look(op.args[1])
    if weight is not None:
        return everywhere(op, look)[0]
    return seen and replace(seen, dims=(*seen.dims, (Factor(op.outputs[0].shape[-1]),)))


def _blank(op: Operation, look: Look) -> Seen | None:
    """Made like a tensor, not of its numbers. One of its shape lies where it lies, so that `cat` may pad with it."""
    seen = look(op.args[0])
    return seen if op.args[0].shape == op.outputs[0].shape else None


def _through(seen: Seen, d: int, window: Window | TransposedWindow, n: int) -> Seen:
    if isinstance(window, Window):
        return seen.windowed(d, window.extent, step=window.stride, first=-window.low, n=n)
    return seen.windowed(d, window.taps, step=Fraction(1, window.stride), first=window.first, n=n)


def _broadcasts(shape: Sequence[int], to: Sequence[int]) -> bool:
    if len(shape) > len(to):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def _list(setting: Any) -> list[Any]:
    return list(setting) if isinstance(setting, tuple) else [setting]


def _each(setting: Any, axes: int) -> list[Any]:
    given = _list(setting)
    return given * axes if len(given) == 1 else given


RULES: dict[str, Rule] = {
    "convolution": _convolution,
    **{f"{kind}_pool{n}d{end}": _pool for n in (1, 2, 3) for kind, end in (("max", "_with_indices"), ("avg", ""))},
    **{f"{kind}_pool{n}d": _adaptive for n in (2, 3) for kind in ("_adaptive_avg", "adaptive_max")},
    **{f"{kind}{n}d": _resize for n in (1, 2, 3) for kind in ("upsample_nearest", "_upsample_nearest_exact")},
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), _resize),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _resize),
    "constant_pad_nd": _pad,
    **{f"{kind}_pad{n}d": _pad for kind in ("reflection", "replication") for n in (1, 2, 3)},
    "slice": _slice,
    "select": _select,
    "unbind": _unbind,
    **dict.fromkeys(("split", "unsafe_split", "split_with_sizes", "unsafe_split_with_sizes"), _split),
    **dict.fromkeys(("cat", "stack"), _cat),
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "unsqueeze", "squeeze"), _view),
    **dict.fromkeys(("transpose", "t", "permute"), _transpose),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "var", "var_mean", "std"), _reduce),
    **dict.fromkeys(("linalg_vector_norm", "norm", "any", "all", "logsumexp", "std_mean"), _reduce),
    **dict.fromkeys(("prod", "argmax", "argmin"), _reduce),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv"), _product),
    **dict.fromkeys(("flip", "roll", "gather", "index_select", "sort", "argsort", "topk"), along),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), along),
    **dict.fromkeys(("index", "_unsafe_index"), indexed),
    **dict.fromkeys(
        ("index_put", "_unsafe_index_put", "_index_put_impl", "masked_scatter", "index_fill"), written_into
    ),
    **dict.fromkeys(("index_copy", "index_add", "scatter", "scatter_add", "scatter_reduce"), written_into),
    **dict.fromkeys(("slice_scatter", "select_scatter"), written_into),
    "repeat": repeated,
    "unfold": _unfold,
    "embedding": _embedding,
    **{f"{made}_like": _blank for made in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")},
    **{f"new_{made}": _blank for made in ("empty", "zeros", "ones", "full", "empty_strided")},
    **{f"_scaled_dot_product_{kind}_attention": _attention for kind in ("flash", "efficient", "cudnn")},
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "im2col": _patches,
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), _shuffle),
}

OWN_PLACE = ELEMENTWISE | frozenset(  # an element sees what the elements at its place see
    """
    clone copy _to_copy contiguous expand alias detach real imag lift_fresh _local_scalar_dense where masked_fill tril
    triu channel_shuffle native_channel_shuffle native_dropout bernoulli uniform normal exponential random zero fill
    zeros ones full arange linspace scalar_tensor eye rand randn randint randperm empty empty_strided
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm native_layer_norm
    native_group_norm _fused_rms_norm _softmax _log_softmax _safe_softmax _weight_norm_interface
    mse_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits
    """.split()  # noqa: SIM905  a table of words reads better than words in quotes
)
ANYWHERE = frozenset(  # known to cost nothing, and too rare for a rule of their own
    """
    diagonal as_strided narrow movedim resize set_data view_as_real view_as_complex repeat_interleave rot90 take
    masked_select nonzero one_hot col2im addbmm dot vdot _trilinear max_unpool2d max_unpool3d fractional_max_pool2d
    nll_loss_forward nll_loss2d_forward
    """.split()  # noqa: SIM905  as above
)
FOLLOWED = OWN_PLACE | ANYWHERE | frozenset(RULES)  # of the others nothing is known, and the caller says so
