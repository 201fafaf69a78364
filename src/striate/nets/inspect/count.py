"""Multiply-adds of one operator: a table of small functions, and the list of operators that have none.

A MAC is one product that is added to a sum. Convolutions and products of matrices are made of them; adding, comparing,
scaling, normalising, pooling and activating are not counted, as in the papers' tables (He 2015, table 1). What is
neither counted nor listed is unknown, and the caller says so.
"""

import math
from collections.abc import Callable
from typing import cast

from striate import arithmetic
from striate.nets.inspect.graph import Operation, Value

__all__ = ["COUNTED", "ELEMENTWISE", "FREE", "MOVES_NOTHING", "macs_of"]


def macs_of(op: Operation) -> int | None:
    """Multiply-adds of an operator, the whole batch; None when the operator is unknown."""
    name = op.name if op.name in COUNTED else op.name.rstrip("_")
    if name in COUNTED:
        return COUNTED[name](op)
    return 0 if name in FREE else None


def _convolution(op: Operation) -> int:
    x: Value = op.args[0]
    weight: Value = op.args[1]
    transposed, groups = bool(op.args[6]), int(op.args[8])
    batch, kernel = x.shape[0], weight.shape[2:]
    if transposed:
        maps, sides = weight.shape[1] * groups, x.shape[2:]
        return batch * arithmetic.conv_transposed(x.shape[1], maps, kernel=kernel, input=sides, groups=groups).macs
    sides = op.outputs[0].shape[2:]
    return batch * arithmetic.conv(x.shape[1], weight.shape[0], kernel=kernel, out=sides, groups=groups).macs


def _product(op: Operation) -> int:
    """[..., i, k] × [..., k, j], or by a vector [k]."""
    a: Value = op.args[1] if op.name in ("addmm", "baddbmm", "addbmm", "addmv") else op.args[0]
    inner, out = a.shape[-1], op.outputs[0].shape
    if op.name == "addbmm":  # the batch is summed over, too
        out = (a.shape[0], *out)
    return math.prod(out) * inner


def _attention(op: Operation) -> int:
    """Queries [..., T, E] by keys [..., S, E], and the result by values [..., S, V]."""
    q, k, v = (cast(Value, value) for value in op.args[:3])
    batch = math.prod(q.shape[:-2])
    rows, keys = q.shape[-2], k.shape[-2]
    scores = arithmetic.matmul(rows, q.shape[-1], keys, batch=batch)
    return (scores + arithmetic.matmul(rows, keys, v.shape[-1], batch=batch)).macs


def _trilinear(op: Operation) -> int:
    """nn.Bilinear: x1 [N, I], weight [O, I, J], x2 [N, J]; both products for every output."""
    weight: Value = op.args[1]
    out = op.outputs[0].shape
    return math.prod(out[:-1]) * math.prod(weight.shape) + math.prod(out) * weight.shape[-1]


COUNTED: dict[str, Callable[[Operation], int]] = {
    "convolution": _convolution,
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot"), _product),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
        ),
        _attention,
    ),
    "_trilinear": _trilinear,
}

MOVES_NOTHING = frozenset(  # views, and room that is not written yet
    """
    view _unsafe_view _reshape_alias unsqueeze squeeze expand permute transpose t select slice unbind split
    unsafe_split split_with_sizes unsafe_split_with_sizes diagonal as_strided unfold narrow movedim alias detach
    empty empty_like new_empty empty_strided new_empty_strided resize set_data view_as_real view_as_complex real
    imag
    """.split()  # noqa: SIM905  a table of words reads better than words in quotes
)

_COPIES = """
    clone copy _to_copy cat stack repeat repeat_interleave roll flip rot90 gather scatter scatter_add scatter_reduce
    index index_put _unsafe_index _unsafe_index_put _index_put_impl index_select index_add index_copy index_fill
    masked_fill masked_select masked_scatter where tril triu embedding constant_pad_nd pixel_shuffle
    pixel_unshuffle im2col col2im channel_shuffle native_channel_shuffle select_scatter slice_scatter take
    contiguous nonzero sort topk argsort argmax argmin one_hot
"""  # copies and indexing

_DRAWN = """
    zeros ones full arange linspace scalar_tensor zeros_like ones_like full_like new_zeros new_ones new_full
    zero fill rand randn randint rand_like randn_like randint_like randperm bernoulli uniform normal exponential
    random native_dropout eye lift_fresh _local_scalar_dense
"""  # made of nothing, drawn

_ELEMENTWISE = """
    add sub rsub mul div neg abs sign pow sqrt rsqrt exp exp2 expm1 log log2 log1p sin cos tan atan2 tanh
    sigmoid relu gelu silu mish elu celu selu leaky_relu prelu _prelu_kernel rrelu_with_noise hardtanh hardswish
    hardsigmoid softplus softshrink hardshrink threshold log_sigmoid_forward logit erf erfinv clamp clamp_min
    clamp_max maximum minimum fmod remainder floor ceil round trunc frac reciprocal square lerp addcmul addcdiv
    eq ne lt le gt ge logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not
    bitwise_xor isnan isinf isfinite nan_to_num floor_divide glu polar complex _conj conj angle
    asin acos atan sinh cosh asinh acosh atanh log10 erfc lgamma digamma sinc i0 xlogy hypot copysign heaviside
    logaddexp logaddexp2 fmin fmax positive sgn signbit isposinf isneginf deg2rad rad2deg special_erfcx
    special_entr special_ndtri special_log_ndtr bitwise_left_shift bitwise_right_shift
"""  # element by element

_REDUCTIONS = """
    sum mean amax amin max min prod var var_mean std std_mean any all cumsum cumprod cummax cummin logcumsumexp
    logsumexp
    linalg_vector_norm norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
    cudnn_batch_norm native_layer_norm native_group_norm _fused_rms_norm _softmax _log_softmax _safe_softmax
    _weight_norm_interface max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d max_unpool2d max_unpool3d
    fractional_max_pool2d reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
"""  # reductions, norms, softmax, pools, resampling

_LOSSES = """
    nll_loss_forward nll_loss2d_forward mse_loss smooth_l1_loss huber_loss binary_cross_entropy
    binary_cross_entropy_with_logits
"""  # losses

ELEMENTWISE = frozenset(_ELEMENTWISE.split())
FREE = MOVES_NOTHING | frozenset("".join((_COPIES, _DRAWN, _ELEMENTWISE, _REDUCTIONS, _LOSSES)).split())
