"""`conv2d`, its relatives and the module: as torch's, with derivatives of any order, in every way torch calls them."""

import subprocess
import sys
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from striate.conv import Conv2d, ConvShape, WrongShape, conv1d, conv2d, conv3d, plan
from striate.conv.team import MOST_THREADS

SETTINGS = [
    {},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"padding": (1, 2), "dilation": (2, 1)},
    {"groups": 2, "padding": "same"},
]


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, 4, 9, 11, generator=generator), torch.randn(6, 4, 3, 3, generator=generator),
            torch.randn(6, generator=generator))  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_values_and_gradients_are_torchs(tensors, setting):
    x, weight, bias = tensors
    weight = weight[:, : 4 // setting.get("groups", 1)]
    mine = [t.clone().requires_grad_() for t in (x, weight, bias)]
    theirs = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y, wanted = conv2d(*mine, **setting), functional.conv2d(*theirs, **setting)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-4)
    for a, b in zip(
        torch.autograd.grad(y.square().sum(), mine), torch.autograd.grad(wanted.square().sum(), theirs), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("setting", [*SETTINGS[:4], {"padding": (1, 0, 2, 1), "stride": (2, 1)}], ids=str)
def test_first_and_second_derivatives_in_double(setting):
    torch.manual_seed(0)
    x, weight, bias = (
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((1, 2, 5, 6), (3, 2, 3, 2), (3,))
    )
    assert torch.autograd.gradcheck(lambda *t: conv2d(*t, **setting), (x, weight, bias))
    assert torch.autograd.gradgradcheck(lambda *t: conv2d(*t, **setting), (x, weight, bias))


def test_the_gradient_penalty_of_float32_is_torchs(tensors):
    """A second derivative through the fast passes: the norm of the gradient, differentiated."""

    def penalty(convolve, **how):
        x, weight, bias = (t.clone().requires_grad_() for t in tensors)
        (dx,) = torch.autograd.grad(convolve(x, weight, bias, padding=1, **how).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(dx.square().sum(), [weight, x])

    for a, b in zip(penalty(conv2d, algorithm="direct"), penalty(functional.conv2d), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("last", [False, True])
def test_the_result_lies_as_torchs_does(tensors, last):
    x, weight, bias = tensors
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    y, wanted = conv2d(x, weight, bias, padding=1), functional.conv2d(x, weight, bias, padding=1)
    assert y.is_contiguous(memory_format=torch.channels_last) == wanted.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-4)


def test_strided_and_misaligned_tensors(tensors):
    x, weight, bias = tensors
    wanted = functional.conv2d(x, weight, bias, padding=1)
    strided = torch.empty(2, 8, 9, 22)[:, ::2, :, ::2].copy_(x)
    block = torch.empty(x.numel() + 1)
    misaligned = block[1:].view(x.shape).copy_(x)
    flipped = weight.transpose(2, 3).contiguous().transpose(2, 3)
    for given in (strided, misaligned):
        torch.testing.assert_close(conv2d(given, flipped, bias, padding=1), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("algorithm", ["direct", "winograd4", "im2col_packed"])
def test_weights_that_have_to_be_copied_live_until_they_are_packed(algorithm):
    """Channels-last weights, as in any channels-last model: the copy in PyTorch's order is nobody else's."""
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 40, 40), torch.randn(64, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    prepared = plan(ConvShape.of(x.shape, weight.shape, padding=1), algorithm)
    wanted = functional.conv2d(x, weight, padding=1)
    for _ in range(20):
        torch.testing.assert_close(prepared.run(x, prepared.pack(weight)), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "algorithm", "tolerance"),
    [(torch.bfloat16, "im2col_packed", 2**-7), (torch.bfloat16, "direct", 2**-7), (torch.float16, "auto", 2**-10)],
)
def test_narrow_floats_are_rounded_once(tensors, dtype, algorithm, tolerance):
    x, weight, bias = (t.to(dtype) for t in tensors)
    y = conv2d(x, weight, bias, padding=1, algorithm=algorithm)
    wanted = functional.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    assert y.dtype == dtype
    assert ((y.double() - wanted).abs() <= tolerance * wanted.abs() + 1e-3).all()


def test_autocast_narrows_as_torchs_does(tensors):
    x, weight, bias = tensors
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = conv2d(x, weight, bias, padding=1)
    assert y.dtype == torch.bfloat16


def test_one_image_without_a_batch(tensors):
    x, weight, bias = tensors
    assert torch.equal(conv2d(x[0], weight, bias), conv2d(x[:1], weight, bias)[0])


def test_padding_that_differs_between_the_sides(tensors):
    x, weight, bias = tensors
    wanted = functional.conv2d(functional.pad(x, (3, 0, 1, 2)), weight, bias)
    torch.testing.assert_close(conv2d(x, weight, bias, padding=(1, 2, 3, 0)), wanted, rtol=1e-4, atol=1e-4)


def test_one_axis_and_three():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 4, 20), torch.randn(6, 2, 3), torch.randn(6)
    y = conv1d(x, weight, bias, stride=2, padding=1, dilation=2, groups=2)
    wanted = functional.conv1d(x, weight, bias, stride=2, padding=1, dilation=2, groups=2)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-4)
    x, weight, bias = torch.randn(2, 4, 7, 8, 9), torch.randn(6, 2, 3, 3, 2), torch.randn(6)
    setting = {"stride": (2, 1, 1), "padding": (1, 0, 1), "dilation": (1, 2, 1), "groups": 2}
    torch.testing.assert_close(
        conv3d(x, weight, bias, **setting), functional.conv3d(x, weight, bias, **setting), rtol=1e-4, atol=1e-4
    )


def test_compile_and_export_see_one_operator(tensors):
    x, _, _ = tensors
    module = Conv2d(4, 6, 3, padding=1, algorithm="winograd2")
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = x.requires_grad_()
    y = compiled(x)
    torch.testing.assert_close(y, module(x))
    y.sum().backward()
    exported = torch.export.export(module, (x.detach(),))
    names = [node.target for node in exported.graph.nodes if node.op == "call_function"]
    assert names == [torch.ops.striate.conv2d.default]


def test_opcheck(tensors):
    """torch's own checks of an operator: schema, fake tensors, autograd registration, AOT dispatch."""
    x, weight, bias = (t.clone().requires_grad_() for t in tensors)
    torch.library.opcheck(
        torch.ops.striate.conv2d.default, (x, weight, bias, [1, 1], [1, 1, 1, 1], [1, 1], 1, "winograd2")
    )


def test_vmap_over_images_and_over_weights(tensors):
    x, weight, _ = tensors
    many = torch.stack([x, 2 * x, 3 * x])
    y = torch.vmap(lambda one: conv2d(one, weight, padding=1, algorithm="winograd2"))(many)
    torch.testing.assert_close(y[2], 3 * conv2d(x, weight, padding=1, algorithm="winograd2"), rtol=1e-4, atol=1e-4)
    y = torch.vmap(lambda one: conv2d(x, one, padding=1, algorithm="winograd2"))(torch.stack([weight, 2 * weight]))
    torch.testing.assert_close(y[1], 2 * y[0], rtol=1e-4, atol=1e-4)


def test_the_module_is_torchs_with_an_algorithm():
    torch.manual_seed(0)
    mine = Conv2d(3, 5, 3, padding=1, algorithm="winograd4")
    torch.manual_seed(0)
    theirs = nn.Conv2d(3, 5, 3, padding=1)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(mine(x), theirs(x), rtol=1e-4, atol=1e-4)
    assert repr(mine).endswith("padding=(1, 1), algorithm=winograd4)")


def test_callers_in_several_threads_do_not_meet(tensors):
    x, weight, bias = tensors
    wanted = conv2d(x, weight, bias, padding=1, algorithm="winograd4")
    wrong = []

    def work():
        for _ in range(50):
            if not torch.equal(conv2d(x, weight, bias, padding=1, algorithm="winograd4"), wanted):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, w, b: conv2d(x[:, :3], w), r"images of 3 channels do not fit filters of 4 channels in groups=1"),
        (lambda x, w, b: conv2d(x, w, b[:5]), r"bias is \[5\] for 6 filters"),
        (lambda x, w, b: conv2d(x, w, groups=4), r"images of 4 channels do not fit filters of 4 channels in groups=4"),
        (lambda x, w, b: conv2d(x[:, :, :2], w), r"height 2 \+ padding 0 is less than the 3 px that a filter spans"),
        (lambda x, w, b: conv2d(x.double(), w), r"images, weights and bias must have one dtype, not float32, float64"),
        (lambda x, w, b: conv2d(x.int(), w.int()), r"computes floats, not int32"),
        (lambda x, w, b: conv2d(x, w, algorithm="winogard4"), r"'winogard4'; did you mean 'winograd4'"),
        (lambda x, w, b: conv2d(x, w, stride=3, algorithm="winograd4"), r"winograd4 .* strides 1 and 2, not 3"),
        (lambda x, w, b: conv2d(x[0, 0], w), r"x must be \[N, C, H, W\] or .* and the weights .*, not \[9, 11\]"),
        (lambda x, w, b: conv2d(x, w, padding="full"), r"padding must be numbers, 'same' or 'valid', not 'full'"),
        (lambda x, w, b: conv2d(x, w, padding="same", stride=2), r"padding='same' is for stride 1, not \(2, 2\)"),
        (lambda x, w, b: conv2d(x, w, stride=0), r"stride must be one or two whole numbers from 1 on, not 0"),
        (lambda x, w, b: conv2d(x, w, stride=(1.9, 1.9)), r"one or two whole numbers from 1 on, not \(1.9, 1.9\)"),
        (lambda x, w, b: conv2d(x, w, padding=(1.5, 1)), r"one, two or four whole numbers from 0 on, not \(1.5, 1\)"),
        (lambda x, w, b: conv2d(x.numpy(), w), r"conv2d: x must be a tensor, not ndarray"),
        (lambda x, w, b: conv2d(x, None), r"conv2d: the weights must be a tensor, not NoneType"),
        (lambda x, w, b: conv2d(x, w, b.tolist()), r"conv2d: the bias must be a tensor, not list"),
        (lambda x, w, b: conv2d(x, w.to("meta")), r"the weights must be .* on the CPU, not .* on meta"),
        (lambda x, w, b: conv2d(x, w, algorithm=None), r"unknown algorithm 'None'; choose from auto, reference"),
        (lambda x, w, b: conv2d(x, w, groups="1"), r"conv2d: groups must be one whole number from 1 on, not '1'"),
        (lambda x, w, b: ConvShape.of((1.0, 4, 9, 9), w.shape), r"sizes of a tensor are whole numbers from 0 on, not"),
        (lambda x, w, b: ConvShape.of((-1, 4, 9, 9), w.shape), r"from 0 on, not \(-1, 4, 9, 9\)"),
        (lambda x, w, b: conv1d(x, w), r"conv1d: x must be \[N, C, W\] or \[C, W\] and the weights"),
        (lambda x, w, b: conv1d(x[0], w[0], stride=(1, 2)), r"conv1d: stride must be one whole number from 1 on"),
        (lambda x, w, b: conv3d(x[None], w[None], stride=0), r"conv3d: stride must be one or three whole numbers"),
        (lambda x, w, b: conv3d(x[None], w[None], padding=(-1, 0, 0)), r"conv3d: padding must be .* from 0 on, not"),
        (lambda x, w, b: Conv2d(4, 6, 3, padding_mode="reflect"), r"pads with zeros; for padding_mode='reflect' use"),
        (
            lambda x, w, b: plan(ConvShape.of(x.shape, w.shape), "winograd2").run(x.double(), w),
            r"the images must be float32\[2, 4, 9, 11\] on the CPU, not float64\[2, 4, 9, 11\] on cpu",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_clear_line(tensors, call, message):
    with pytest.raises(WrongShape, match=message):
        call(*tensors)


def test_a_forked_child_convolves_and_its_parent_goes_on():
    script = """
import os, torch
from striate.conv import conv2d
x, w = torch.ones(4, 64, 56, 56), torch.ones(64, 64, 3, 3)
torch.set_num_threads(2)
convolved = lambda: conv2d(x, w, padding=1, algorithm="winograd4").numpy().tobytes()
wanted = convolved()
child = os.fork()
if child == 0:
    os._exit(0 if convolved() == wanted else 1)  # no operator of torch: its own threads do not survive a fork
_, status = os.waitpid(child, 0)
assert convolved() == wanted
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "setting", [{"padding": "same"}, {"padding": "valid"}, {"padding": (1,), "stride": (2,)}], ids=str
)
@pytest.mark.parametrize("batch", [(), (2,)], ids=["no batch", "two"])
def test_one_axis_and_three_take_what_torchs_modules_have(batch, setting):
    torch.manual_seed(0)
    x, weight = torch.randn(*batch, 4, 9), torch.randn(6, 4, 3)
    torch.testing.assert_close(conv1d(x, weight, **setting), functional.conv1d(x, weight, **setting))
    x, weight = torch.randn(*batch, 4, 5, 6, 7), torch.randn(6, 4, 3, 1, 3)
    y = conv3d(x, weight, **setting)
    setting = {name: given if isinstance(given, str) else given * 3 for name, given in setting.items()}
    torch.testing.assert_close(y, functional.conv3d(x, weight, **setting), rtol=1e-4, atol=1e-4)


def test_padding_of_one_axis_that_differs_between_the_sides():
    x, weight = torch.arange(5.0).view(1, 1, 5), torch.ones(1, 1, 3)
    assert conv1d(x, weight, padding=(2, 0)).tolist() == [[[0.0, 1.0, 3.0, 6.0, 9.0]]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_what_torch_makes_by_default_is_not_what_kernels_write_to(tensors, dtype):
    x, weight, bias = (t.clone().requires_grad_() for t in tensors)
    wanted = torch.autograd.grad(functional.conv2d(x, weight, bias).sum(), (x, weight, bias))
    torch.set_default_dtype(dtype)
    try:
        gradients = torch.autograd.grad(conv2d(x, weight, bias, algorithm="direct").sum(), (x, weight, bias))
    finally:
        torch.set_default_dtype(torch.float32)
    for mine, theirs in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("algorithm", ["direct", "auto"])
def test_the_default_device_is_not_where_results_lie(tensors, algorithm):
    x, weight, bias = tensors
    wanted = functional.conv2d(x, weight, bias)
    with torch.device("meta"):
        y = conv2d(x, weight, bias, algorithm=algorithm)
    torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-4)


def test_views_that_negate():
    z = torch.complex(torch.randn(1, 2, 5, 5), torch.randn(1, 2, 5, 5)).conj()
    weight = torch.randn(3, 2, 3, 3)
    assert z.imag.is_neg()
    torch.testing.assert_close(conv2d(z.imag, weight, algorithm="direct"), functional.conv2d(z.imag, weight))


def test_a_child_of_a_parent_that_only_torch_computed_in():
    """torch's OpenMP team did not survive the fork, and a child that joined it would wait for ever."""
    script = """
import os, torch
import striate.conv
torch.set_num_threads(2)
torch.randn(512, 512) @ torch.randn(512, 512)
child = os.fork()
if child == 0:
    x, w = torch.ones(1, 16, 40, 40), torch.ones(16, 16, 3, 3)
    y = striate.conv.conv2d(x, w, padding=1, algorithm="winograd4")
    os._exit(0 if abs(y[0, 0, 5, 5].item() - 144) < 1e-3 else 1)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr


def test_more_threads_than_the_core_can_use(tensors):
    x, weight, bias = tensors
    before = torch.get_num_threads()
    torch.set_num_threads(300)
    try:
        y = conv2d(x, weight, bias, algorithm="direct")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(y, functional.conv2d(x, weight, bias), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=f"threads must be from 1 to {MOST_THREADS}"):
        plan(ConvShape.of(x.shape, weight.shape), "direct", threads=MOST_THREADS + 1)


def test_a_plan_has_as_many_threads_as_torch_has_when_it_is_asked_for(tensors):
    x, weight, _ = tensors
    shape, before, counted = ConvShape.of(x.shape, weight.shape), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            counted.append(plan(shape, "direct").threads)
    finally:
        torch.set_num_threads(before)
    assert counted == [1, 2, 1]
    assert plan(shape, "direct", threads=2) is plan(shape, "direct", threads=2)


def test_a_wrong_call_spoils_no_later_one(tensors):
    x, weight, _ = tensors
    x, weight = x[:, :, :7], weight[:, :, :2]  # a shape that no other test has planned
    with pytest.raises(WrongShape, match=r"groups must be one whole number from 1 on, not 1.0"):
        conv2d(x, weight, groups=1.0)
    assert conv2d(x, weight, algorithm="direct").shape == (2, 6, 6, 9)
    with pytest.raises(WrongShape, match=r"groups must be"):
        conv2d(x, weight, groups=1.0, algorithm="direct")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_slices_of_narrow_floats_are_summed_before_they_are_rounded(dtype):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(size, generator=generator) for size in ((1, 8, 6, 7, 7), (4, 8, 5, 3, 3)))
    bias = torch.randn(4, generator=generator)
    narrow = [t.to(dtype) for t in (x, weight, bias)]
    once = torch.nn.functional.conv3d(*(t.double() for t in narrow))
    largest_step = torch.finfo(dtype).eps / 2 * once.abs().max()
    assert (conv3d(*narrow, algorithm="direct") - once).abs().max() < 1.01 * largest_step
    with torch.autocast("cpu", dtype):
        under_autocast = conv3d(x, weight, bias, algorithm="direct")
    assert under_autocast.dtype == dtype
    assert torch.equal(under_autocast, conv3d(*narrow, algorithm="direct"))
