"""Every algorithm, pass, layout and instruction set on random shapes, against torch in float64 and the reference.

The same suite runs in C++ with canaries, poison and sanitizers (native/tests/conformance.cpp); here the whole way from
Python is held, and the oracle is somebody else's.
"""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from striate import _native
from striate.conv import ConvShape, algorithms, from_blocked, plan, refusal, to_blocked
from striate.conv.choose import error_bound

ISAS = _native.available_isas()
LAYOUTS = ["nchw", "channels_last", "blocked"]
PASSES = ["forward", "backward_data", "backward_weights"]
NAMES = algorithms()

channels = st.one_of(st.integers(1, 5), st.integers(15, 18), st.integers(31, 40))


@st.composite
def shapes(draw):
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    square = draw(st.sampled_from([1, 3, 3, 3, 5, 7, None]))
    axes = []
    for _ in range(2):
        kernel = square or draw(st.integers(1, 7))
        stride = draw(st.sampled_from([1, 1, 1, 2, 3]))
        dilation = draw(st.sampled_from([1, 1, 1, 2]))
        low, high = draw(st.integers(0, kernel)), draw(st.integers(0, kernel))
        extent = dilation * (kernel - 1) + 1
        size = draw(st.integers(max(1, extent - low - high), 24))
        axes.append((size, kernel, stride, dilation, low, high))
    (height, kh, sh, dh, top, bottom), (width, kw, sw, dw, left, right) = axes
    group_in, group_out = draw(channels), draw(channels)
    if draw(st.integers(0, 6)) == 0:  # depthwise
        groups, group_in, group_out = draw(channels), 1, draw(st.integers(1, 2))
    return ConvShape.of(
        (draw(st.integers(0, 3)), groups * group_in, height, width), (groups * group_out, group_in, kh, kw),
        stride=(sh, sw), padding=(top, bottom, left, right), dilation=(dh, dw), groups=groups,
    )  # fmt: skip


def lying(x, layout):
    if layout == "blocked":
        return to_blocked(x)
    return x.contiguous(memory_format=torch.channels_last) if layout == "channels_last" else x


def in_double(shape, pass_, x, weight, gradient):
    """torch's answer in float64."""
    rows, columns = shape.rows, shape.columns
    padded = functional.pad(x.double(), (columns.low, columns.high, rows.low, rows.high)).requires_grad_()
    weight = weight.double().requires_grad_()
    y = functional.conv2d(
        padded, weight, None, (rows.stride, columns.stride), 0, (rows.dilation, columns.dilation), shape.groups
    )
    if pass_ == "forward":
        return y.detach()
    dx, dw = torch.autograd.grad(y, [padded, weight], gradient.double())
    if pass_ == "backward_weights":
        return dw
    return dx[:, :, rows.low : rows.low + shape.height, columns.low : columns.low + shape.width]


def run(shape, pass_, algorithm, x, weight, gradient, *, isa=None, threads=1, from_="nchw", to="nchw", **epilogue):
    """The result in NCHW; the inputs have to be what they were."""
    prepared = plan(shape, algorithm, pass_, from_layout=from_, to_layout=to, threads=threads, isa=isa)
    if pass_ == "backward_weights":
        given = [lying(x, from_), lying(gradient, to)]
        before = [t.clone() for t in given]
        result = prepared.gradient(*given)
    else:
        given = [lying(x if pass_ == "forward" else gradient, from_), weight]
        before = [t.clone() for t in given]
        result = prepared.run(*given, **epilogue)
        packed = prepared.run(given[0], prepared.pack(weight), **epilogue)
        assert result.shape == packed.shape
        assert result.numpy().tobytes() == packed.numpy().tobytes()  # as NaN is not equal to itself
    assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(given, before, strict=True))
    if result.ndim == 5:
        size = shape.result if pass_ == "forward" else shape.images
        planar = from_blocked(result, size[1])
        assert torch.equal(to_blocked(planar), result)  # lanes beyond the last channel are zero
        return planar
    return result


def allowed(shape, pass_, algorithm, x, weight, gradient):
    size = in_double(shape, pass_, x.abs(), weight.abs(), gradient.abs())
    return error_bound(shape, pass_, algorithm) * 2.0**-24 * (size.max().item() if size.numel() else 0.0) + 1e-30


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("algorithm", NAMES)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    shape=shapes(), seed=st.integers(0, 2**32), layouts=st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
)
def test_within_its_bound_of_float64_on_every_instruction_set(algorithm, pass_, shape, seed, layouts):
    if refusal(algorithm, pass_, shape, *layouts):
        return
    generator = torch.Generator().manual_seed(seed)
    x, weight, gradient = (
        torch.randn(size, generator=generator) for size in (shape.images, shape.filters, shape.result)
    )
    wanted = in_double(shape, pass_, x, weight, gradient)
    limit = allowed(shape, pass_, algorithm, x, weight, gradient)
    for isa in ISAS:
        results = [
            run(shape, pass_, algorithm, x, weight, gradient, isa=isa, threads=t, from_=layouts[0], to=layouts[1])
            for t in (1, 2, 3)
        ]
        for result in results:
            assert result.shape == wanted.shape
            assert (result - wanted).abs().max().item() <= limit if wanted.numel() else True


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize(
    ("m", "kernel"), [(5, (1, 3)), (4, (5, 5)), (2, (7, 7)), (6, (1, 5)), (6, (5, 1)), (4, (7, 1)), (6, (1, 7))]
)
def test_winograd_has_every_pass_of_every_filter_it_takes(m, kernel, pass_):
    algorithm = f"winograd{m}"
    shape = ConvShape.of((3, 20, 23, 29), (36, 20, *kernel), padding=(kernel[0] // 2, kernel[1] // 2))
    assert not refusal(algorithm, pass_, shape)
    x, weight, gradient = (torch.randn(size) for size in (shape.images, shape.filters, shape.result))
    result = run(shape, pass_, algorithm, x, weight, gradient)
    error = (result - in_double(shape, pass_, x, weight, gradient)).abs().max().item()
    assert error <= allowed(shape, pass_, algorithm, x, weight, gradient)


@pytest.mark.parametrize("algorithm", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bias_residual_and_relu_are_fused(algorithm, layout):
    shape = easy_shape(algorithm)
    x, weight = torch.randn(shape.images), torch.randn(shape.filters)
    bias, residual = torch.randn(shape.out_channels), torch.randn(shape.result)
    y = run(
        shape, "forward", algorithm, x, weight, None, from_=layout, to=layout,
        bias=bias, residual=lying(residual, layout), relu=True,
    )  # fmt: skip
    wanted = in_double(shape, "forward", x, weight, None) + bias.double()[:, None, None] + residual
    limit = allowed(shape, "forward", algorithm, x, weight, torch.ones(())) * 2
    assert (y - wanted.relu()).abs().max().item() <= limit


def easy_shape(algorithm):
    """Some shape that the algorithm takes."""
    for size, filters, groups in (
        ((2, 18, 13, 15), (20, 18, 3, 3), 1),
        ((2, 18, 13, 15), (20, 18, 1, 1), 1),
        ((2, 18, 13, 15), (18, 1, 3, 3), 18),
        ((2, 130, 13, 15), (131, 130, 1, 1), 1),
    ):
        shape = ConvShape.of(size, filters, padding=filters[2] // 2, groups=groups)
        if all(not refusal(algorithm, "forward", shape, layout, layout) for layout in LAYOUTS[:2]):
            return shape
    raise AssertionError(f"no easy shape for {algorithm}")


@pytest.fixture(autouse=True)
def _skip_what_is_refused(request):
    arguments = getattr(request.node, "callspec", None)
    if arguments is None or "layout" not in arguments.params:
        return
    algorithm, layout = arguments.params["algorithm"], arguments.params["layout"]
    why = refusal(algorithm, "forward", easy_shape(algorithm), layout, layout)
    if why:
        pytest.skip(f"{algorithm} {why}")


@pytest.mark.parametrize("algorithm", NAMES)
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (100.0, 1.0), (0.0, 1e4), (-3.0, 1e-4)])
def test_the_error_bound_holds_for_large_means_and_wide_ranges(algorithm, mean, spread):
    shape = easy_shape(algorithm)
    rng = np.random.default_rng(0)
    ranges = 10 ** rng.uniform(-3, 0, (1, shape.in_channels, 1, 1))
    x = torch.from_numpy((mean + spread * rng.normal(size=shape.images) * ranges).astype(np.float32))
    weight = torch.from_numpy(rng.normal(size=shape.filters).astype(np.float32))
    y = run(shape, "forward", algorithm, x, weight, None)
    wanted = in_double(shape, "forward", x, weight, None)
    assert (y - wanted).abs().max().item() <= allowed(shape, "forward", algorithm, x, weight, torch.ones(()))


@pytest.mark.parametrize("algorithm", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_reach_every_output_that_sees_them(algorithm, value):
    """The direct sum spreads them over the outputs whose window sees the pixel; transforms over their tile as well."""
    shape = easy_shape(algorithm)
    x = torch.ones(shape.images)
    x[0, :, 6, 7] = value
    y = run(shape, "forward", algorithm, x, torch.ones(shape.filters), None)
    reach = shape.rows.kernel // 2
    seen = y[0, :, 6 - reach : 7 + reach, 7 - reach : 8 + reach]
    assert not seen.isfinite().any()
    assert y[1].isfinite().all()  # another image


@pytest.mark.parametrize("algorithm", NAMES)
def test_batch_zero_and_no_output_channels(algorithm):
    empty = ConvShape.of((0, 4, 8, 8), (6, 4, 3, 3), padding=1)
    x, weight, gradient = torch.empty(0, 4, 8, 8), torch.ones(6, 4, 3, 3), torch.empty(0, 6, 8, 8)
    assert run(empty, "forward", algorithm, x, weight, None).shape == (0, 6, 8, 8)
    if not refusal(algorithm, "backward_weights", empty):
        assert torch.equal(run(empty, "backward_weights", algorithm, x, None, gradient), torch.zeros(6, 4, 3, 3))


@pytest.mark.parametrize("powers", [(40, -40), (-40, 40), (40, 40), (-40, -40)])
@pytest.mark.parametrize("name", [name for name in algorithms() if name != "strassen"])
def test_no_digit_depends_on_the_scale(name, powers):
    """As docs/algorithms/errors.md says of images and weights far from the ends of float32's range."""
    kernel, groups = (1, 1) if name == "pointwise" else (3, 3), 4 if name == "depthwise" else 1
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 13, 14, generator=generator)
    weight = torch.randn(4, 4 // groups, *kernel, generator=generator)
    of_images, of_weights = (2.0**power for power in powers)
    prepared = plan(ConvShape.of(x.shape, weight.shape, padding=kernel[0] // 2, groups=groups), name)
    scaled = prepared.run(x * of_images, weight * of_weights)
    assert torch.equal(scaled, prepared.run(x, weight) * (of_images * of_weights))


@pytest.mark.parametrize(
    ("name", "is_finite"),
    [("direct", True), ("im2col_packed", True), ("winograd2", True), ("winograd6", False), ("fft", False)],
)
def test_where_transforms_overflow_and_the_sum_does_not(name, is_finite):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(size, generator=generator) for size in ((1, 8, 20, 20), (8, 8, 3, 3)))
    prepared = plan(ConvShape.of(x.shape, weight.shape, padding=1), name)
    assert prepared.run(x * 1e37, weight * 1e-37).isfinite().all() == is_finite
