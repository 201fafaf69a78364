"""What the plans of convolutions refuse, and the bound of what no plan takes."""

import math

import numpy as np
import pytest

from striate import _native
from striate.conv.shape import ConvShape

PLANS = [_native.ConvPlan, _native.BfloatConvPlan]
SHAPE = ConvShape.of((1, 32, 17, 17), (32, 32, 3, 3), padding=1).numbers


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    ("isa", "error", "message"),
    [
        (3, TypeError, "isa must be a name or None, not int"),
        ("sse9", ValueError, "isa='sse9' is not .*; choose from portable"),
    ],
)
def test_an_instruction_set_that_is_none_is_refused(kind, isa, error, message):
    with pytest.raises(error, match=f"^{kind.__name__}: {message}"):
        kind("direct", "forward", SHAPE, "nchw", "nchw", 1, isa)


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("offset", [0, 4, -4])
def test_a_residual_in_the_results_place_is_refused(kind, offset):
    """`im2col_packed` keeps the sums of a first block of terms there, and would add those to the others."""
    plan = kind("im2col_packed", "forward", SHAPE, "nchw", "nchw", 1)
    images, weights = np.zeros(32 * 17 * 17, np.float32), np.zeros(32 * 32 * 9, np.float32)
    result = np.zeros(32 * 17 * 17 + 2, np.float32)
    packed, at = plan.pack(weights.ctypes.data), result.ctypes.data + 4
    message = f"^{kind.__name__}: the residual lies where the result goes"
    with pytest.raises(ValueError, match=message):
        plan.run(images.ctypes.data, packed, 0, at + offset, relu=False, result=at)
    with pytest.raises(ValueError, match=message):
        plan.pack_and_run(images.ctypes.data, weights.ctypes.data, 0, at + offset, relu=False, result=at)


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(("what", "message"), [("images", "the images lie"), ("bias", "the bias lies")])
@pytest.mark.parametrize("end", [False, True])
def test_images_or_a_bias_in_the_results_place_are_refused(kind, what, message, end):
    """`direct` copies some rows, writes their results, and copies the next."""
    plan = kind("direct", "forward", SHAPE, "nchw", "nchw", 1)
    number = 4 if kind is _native.ConvPlan else 2
    nbytes = {"images": number * 32 * 17 * 17, "bias": 4 * 32, "result": number * 32 * 17 * 17}
    memory = np.zeros(4 * nbytes["result"], np.uint8)
    at = {"images": memory.ctypes.data, "bias": memory.ctypes.data + nbytes["images"]}
    result = at["bias"] + nbytes["bias"]
    weights = np.zeros(32 * 32 * 9, np.float32)
    packed = plan.pack(weights.ctypes.data)

    def run(residual=0):
        plan.run(at["images"], packed, at["bias"], residual, relu=False, result=result)
        plan.pack_and_run(at["images"], weights.ctypes.data, at["bias"], residual, relu=False, result=result)

    run(residual=result + nbytes["result"])  # side by side
    at[what] = result + nbytes["result"] - 4 if end else result - nbytes[what] + 4
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message} where the result goes"):
        plan.run(at["images"], packed, at["bias"], 0, relu=False, result=result)
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message} where the result goes"):
        plan.pack_and_run(at["images"], weights.ctypes.data, at["bias"], 0, relu=False, result=result)


@pytest.mark.parametrize("kind", PLANS)
def test_a_residual_beside_the_result_is_not(kind):
    plan = kind("im2col_packed", "forward", SHAPE, "nchw", "nchw", 1)
    count = 32 * 17 * 17 * (2 if kind is _native.ConvPlan else 1)  # 16-bit numbers
    images, weights = np.zeros(count, np.int16), np.zeros(2 * 32 * 32 * 9, np.int16)
    # from 128 on bits of normal bfloat16 numbers: AVX512_BF16 rounds smaller ones to zero
    residual, result = np.arange(128, 128 + 2 * count, dtype=np.int16).reshape(2, count)
    wanted = residual.copy()
    plan.pack_and_run(images.ctypes.data, weights.ctypes.data, 0, residual.ctypes.data, False, result.ctypes.data)
    assert np.array_equal(result, wanted)


def ran(plan, packed):
    """On images of ones, 16-bit numbers or 32-bit."""
    dtype = np.float32 if isinstance(plan, _native.ConvPlan) else np.uint16
    images = np.full(2 * 32 * 17 * 17, 1 if dtype == np.float32 else 0x3F80, dtype)
    result = np.zeros_like(images)
    plan.run(images.ctypes.data, packed, 0, 0, relu=False, result=result.ctypes.data)
    return result


OWN = {"algorithm": "direct", "pass_": "forward", "shape": SHAPE, "from_layout": "nchw", "to_layout": "nchw"}


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    "other",
    [
        {"algorithm": "im2col_packed"},
        {"pass_": "backward_data"},
        {"shape": (2, *SHAPE[1:])},
        {"from_layout": "channels_last"},
        {"to_layout": "channels_last"},
        {"threads": 2},
        {"isa": "portable"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_weights_of_another_plan_are_refused_though_they_are_as_many(kind, other):
    isa = "avx2" if "avx2" in _native.available_isas() else "portable"
    if other.get("isa") == isa:
        pytest.skip("this machine has one instruction set")
    settings = {**OWN, "threads": 1, "isa": isa}
    one, another = kind(**settings), kind(**settings | other)
    weights = np.zeros(32 * 32 * 9, np.float32)
    packed = another.pack(weights.ctypes.data)
    told = rf"\(direct( in bfloat16)?, forward, of \(1, .*\), nchw to nchw, threads 1, {isa}\); pack them by this one$"
    with pytest.raises(ValueError, match=f"^{kind.__name__}: these weights were packed by another plan .* {told}"):
        ran(one, packed)


@pytest.mark.parametrize("kind", PLANS)
def test_weights_of_a_plan_made_from_the_same_are_read(kind):
    weights = np.ones(32 * 32 * 9, np.float32)
    one, same = kind(**OWN, threads=1), kind(**OWN, threads=1)
    packed = same.pack(weights.ctypes.data)
    del same
    assert np.array_equal(ran(one, packed), ran(one, one.pack(weights.ctypes.data)))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("algorithm", ["direct", "im2col_packed", "direct_bf16x3", "im2col_bf16x3"])
def test_backward_to_data_by_a_stride_of_many_pixels(algorithm, threads):
    """A convolution of its own for each of 35 × 35 remainders; every pixel of dx sees one tap of each of three maps."""
    shape = ConvShape.of((1, 2, 70, 70), (3, 2, 35, 35), stride=35).numbers
    plan = _native.ConvPlan(algorithm, "backward_data", shape, "nchw", "nchw", threads)
    weights = np.arange(3 * 2 * 35 * 35, dtype=np.float32).reshape(3, 2, 35, 35) % 64
    gradient = np.array([1, 2, 3, 4], np.float32) * np.ones((3, 1), np.float32)
    result = np.empty((2, 70, 70), np.float32)
    plan.pack_and_run(gradient.ctypes.data, weights.ctypes.data, 0, 0, relu=False, result=result.ctypes.data)
    assert np.array_equal(result, np.kron([[1, 2], [3, 4]], weights.sum(0)))


@pytest.mark.parametrize("pass_", ["forward", "backward_data", "backward_weights"])
def test_the_bound_of_what_fft_has_no_tile_for_is_infinite(pass_):
    def bound(side):
        return _native.conv_error_bound(
            "fft", pass_, ConvShape.of((1, 4, 80, 80), (4, 4, side, side), padding=side // 2).numbers
        )

    assert math.isfinite(bound(63))
    assert bound(65) == math.inf
