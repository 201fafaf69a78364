"""What modules cost: the lectures' tables, torch's own counter, closed forms, and modules of every make."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import striate
from striate import arithmetic
from striate.errors import StriateError
from striate.nets import DoesNotFit, Net, create_model, layer_table, list_models
from striate.nets.inspect import cost
from striate.nets.weightless import weightless

VGG_D = [  # CS231n, the table of VGG-16: row, numbers it makes, weights (biases are not counted there)
    ("conv3-64", 64 * 224 * 224, 1_728),
    ("conv3-64", 64 * 224 * 224, 36_864),
    ("pool2", 64 * 112 * 112, 0),
    ("conv3-128", 128 * 112 * 112, 73_728),
    ("conv3-128", 128 * 112 * 112, 147_456),
    ("pool2", 128 * 56 * 56, 0),
    ("conv3-256", 256 * 56 * 56, 294_912),
    ("conv3-256", 256 * 56 * 56, 589_824),
    ("conv3-256", 256 * 56 * 56, 589_824),
    ("pool2", 256 * 28 * 28, 0),
    ("conv3-512", 512 * 28 * 28, 1_179_648),
    ("conv3-512", 512 * 28 * 28, 2_359_296),
    ("conv3-512", 512 * 28 * 28, 2_359_296),
    ("pool2", 512 * 14 * 14, 0),
    ("conv3-512", 512 * 14 * 14, 2_359_296),
    ("conv3-512", 512 * 14 * 14, 2_359_296),
    ("conv3-512", 512 * 14 * 14, 2_359_296),
    ("pool2", 512 * 7 * 7, 0),
    ("fc", 4096, 102_760_448),
    ("fc", 4096, 16_777_216),
    ("fc", 1000, 4_096_000),
]


def test_the_slides_table_of_vgg_row_by_row_and_its_sum(zoo: Callable[[str], Net]) -> None:
    """The rows are right and their sum is 15.2M numbers with the input's 150K, not the "24M × 4 bytes" beside them."""
    kinds = ("conv", "max-pool", "linear")
    rows = [row for row in cost(zoo("vgg16"), (3, 224, 224)).layers if row.kind.startswith(kinds)]
    bias = [row.output_shape[0] if row.params else 0 for row in rows]
    made = [torch.Size(row.output_shape).numel() for row in rows]
    assert [(n, row.params - b) for n, row, b in zip(made, rows, bias, strict=True)] == [row[1:] for row in VGG_D]
    assert round((sum(made) + 3 * 224 * 224) / 1e6, 1) == 15.2
    assert round(sum(row.params - b for row, b in zip(rows, bias, strict=True)) / 1e6) == 138


@pytest.mark.parametrize(
    ("name", "millions"),
    [("vgg11", 133), ("vgg11_lrn", 133), ("vgg13", 133), ("vgg16c", 134), ("vgg16", 138), ("vgg19", 144)],
)
def test_vggs_table_of_parameters(name: str, millions: int, zoo: Callable[[str], Net]) -> None:
    """Simonyan and Zisserman 2014, table 2."""
    assert round(cost(zoo(name), (3, 224, 224)).params / 1e6) == millions


@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet18", 1.8), ("resnet34", 3.6), ("resnet50", 3.8), ("resnet101", 7.6), ("resnet152", 11.3)],
)
def test_resnets_table_of_multiply_adds(name: str, billions: float) -> None:
    """He 2015, table 1, with the paper's strides; it cuts some figures and rounds others."""
    settings = {} if name in ("resnet18", "resnet34") else {"stride_on": "1x1"}
    with weightless():
        net = create_model(name, **settings)
    assert cost(net, (3, 224, 224)).macs / 1e9 == pytest.approx(billions, abs=0.1)


@pytest.mark.parametrize("name", list_models())
def test_torchs_own_counter_agrees(name: str) -> None:
    with weightless():
        net = create_model(name).eval()
    x = torch.empty(2, 3, *net.spec.input_size, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net.head(net.features(x))
    found = cost(net, x)
    if not found.unknown:
        assert found.flops == counter.get_total_flops()
    assert found.flops == 2 * found.macs
    assert found.params == sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", ["lenet5", "alexnet2012", "resnet18", "googlenet"])
def test_views_add_up(name: str, zoo: Callable[[str], Net]) -> None:
    found = cost(zoo(name), (3, *zoo(name).spec.input_size))
    for measure in ("params", "macs", "made_nbytes", "moved_nbytes"):
        total = getattr(found.total, measure)
        assert {sum(getattr(row, measure) for row in found.by(view)) for view in striate_views()} == {total}
    assert sum(row.kept_nbytes for row in found.stages) == found.total.kept_nbytes
    with pytest.raises(StriateError, match="unknown view 'layers'; did you mean 'layer'"):
        found.by("layers")


def striate_views() -> tuple[str, ...]:
    return ("layer", "stage", "operator", "total")


class Everything(nn.Module):
    """A reused module, a functional convolution with a shared weight, a list, and parameters nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.many = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])
        self.idle = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(self.conv(x)))
        for layer in self.many:
            x = x + layer(x)
        return F.conv2d(x, self.conv.weight, stride=2)


def test_reused_shared_and_unused_parameters_count_once() -> None:
    module = Everything()
    found = cost(module, (4, 8, 6))
    assert found.params == sum(p.numel() for p in module.parameters()) == 148 + 40 + 12
    assert found.unused == ("idle.weight", "idle.bias")
    assert found.layers[-1].name == "(not used)"
    assert found.layers[-1].params == 12
    assert [(row.name, row.params) for row in found.layers if row.name == "conv"] == [("conv", 148), ("conv", 0)]
    same = arithmetic.conv(4, 4, kernel=(3, 3), out=(8, 6)).macs
    pointwise = arithmetic.conv(4, 4, kernel=(1, 1), out=(8, 6)).macs
    assert found.macs == 2 * same + 2 * pointwise + arithmetic.conv(4, 4, kernel=(3, 3), out=(3, 2)).macs
    calls = {"convolution": 5, "relu": 1, "add": 2, "(not used)": 0}
    assert {row.name: row.calls for row in found.operators} == calls
    assert sum(row.params for row in found.operators) == found.params


def test_a_batch_costs_so_many_images() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    one, four = cost(net, (3, 8, 8)), cost(net, (4, 3, 8, 8))
    assert four.macs == 4 * one.macs
    assert four.total.kept_nbytes == 4 * one.total.kept_nbytes


RECURRENT = [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)]


@pytest.mark.parametrize(("kind", "gates"), RECURRENT)
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers_cost_their_closed_form(kind: type[nn.RNNBase], gates: int, directions: int) -> None:
    found = cost(kind(6, 5, bidirectional=directions == 2), torch.empty(7, 1, 6))
    expected = arithmetic.recurrent(6, 5, steps=7, gates=gates, directions=directions)
    assert (found.params, found.macs) == (expected.params, expected.macs)


def test_attention_costs_its_closed_form() -> None:
    class Itself(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(32, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attend(x, x, x, need_weights=False)[0]

    found, expected = cost(Itself(), torch.empty(1, 11, 32)), arithmetic.attention(32, queries=11)
    assert (found.params, found.macs) == (expected.params, expected.macs)
    assert found.unused == ()


def test_axes_one_two_and_three_and_back() -> None:
    one = cost(nn.Conv1d(3, 4, 5), (3, 20))
    assert one.macs == arithmetic.conv(3, 4, kernel=(5,), out=(16,)).macs
    three = cost(nn.Conv3d(3, 4, (1, 2, 3), groups=1), (3, 5, 6, 7))
    assert three.macs == arithmetic.conv(3, 4, kernel=(1, 2, 3), out=(5, 5, 5)).macs
    back = cost(nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2), (6, 5, 4))
    assert back.macs == arithmetic.conv_transposed(6, 4, kernel=(3, 3), input=(5, 4), groups=2).macs
    assert back.total.output_shape == (4, 11, 9)
    bilinear = cost(nn.Bilinear(3, 4, 5), ((2, 3), (2, 4)))
    assert bilinear.macs == 2 * 5 * 3 * 4 + 2 * 5 * 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "5"),
        (None, "None"),
        ("3,32,32", "'3,32,32'"),
        ((3.0, 32, 32), "(3.0, 32, 32)"),
        ((3, "32", 32), "(3, '32', 32)"),
        ((True, 32, 32), "(True, 32, 32)"),
        ((), "()"),
        (np.ones(3), "array([1., 1., 1.])"),
        (((3, 32, 32), None), "((3, 32, 32), None)"),
        (np.ones((2, 2)), "array([[1., 1.], [1., 1.]])"),
        (["3"] * 100, f"{str(['3'] * 100)[:80]}…"),
    ],
)
def test_what_is_no_input(given: object, said: str) -> None:
    with pytest.raises(StriateError) as refused:
        cost(nn.Conv2d(3, 4, 3), given)
    assert str(refused.value) == (
        f"an input is a shape such as (3, 224, 224), a tensor, or a tuple of them; got {said}"
    )


def test_shapes_of_any_make() -> None:
    conv = nn.Conv2d(3, 4, 3)
    macs = cost(conv, (3, 32, 32)).macs
    for given in ([3, 32, 32], torch.Size([3, 32, 32]), tuple(np.array([3, 32, 32])), [torch.empty(1, 3, 32, 32)]):
        assert cost(conv, given).macs == macs


def test_unknown_operators_are_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Identity())

        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.fft2(self.inner(x)).abs()

    (unknown,) = cost(Odd(), (3, 8, 8)).unknown
    assert (unknown.name, unknown.calls, unknown.modules) == ("_fft_c2c", 1, ("the module itself",))
    assert "unknown cost: _fft_c2c ×1" in str(cost(Odd(), (3, 8, 8)))


def test_what_is_kept_is_what_autograd_keeps() -> None:
    """A ReLU's result serves its own backward pass and the next convolution's: one storage."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Dropout())
    image, maps = 4 * 3 * 64, 4 * 4 * 64
    assert [row.kept_nbytes for row in cost(net, (3, 8, 8)).layers] == [image, maps, 0, 0]
    assert [row.kept_nbytes for row in cost(net, (3, 8, 8), training=True).layers] == [image, maps, 0, maps]
    assert [row.made_nbytes for row in cost(net, (3, 8, 8)).layers] == [maps, maps, maps, 0]


def test_nothing_is_changed_and_nothing_drawn() -> None:
    net = create_model("resnet20", num_classes=10)
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    net[0].register_forward_hook(lambda *_: pytest.fail("a hook was called")) if isinstance(
        net, nn.Sequential
    ) else None
    cost(net, (3, 32, 32), training=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert torch.backends.mha.get_fastpath_enabled()


def test_tensors_made_in_the_forward_may_be_on_no_device_by_name() -> None:
    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place, self.scale = nn.Embedding(9, 4), torch.ones(4)

        def forward(self, x: Tensor) -> Tensor:
            return (x + self.place(torch.arange(x.shape[1]))) * self.scale

    assert cost(Places(), torch.zeros(2, 7, 4)).params == 36
    assert striate.memory(Places(), torch.zeros(2, 7, 4), optimizer="sgd").peak_nbytes > 0


def test_a_module_may_draw_a_number_and_decide_by_it() -> None:
    class Chance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) if torch.rand(1).item() < 2 else x

    assert cost(Chance(), (2, 3), training=True).macs == 18


def test_modules_that_cannot_be_walked_are_refused() -> None:
    with pytest.raises(StriateError, match=r"^0 \(LazyLinear\) has parameters without a shape yet; call it once"):
        cost(nn.Sequential(nn.LazyLinear(4)), (2, 3))

    class Torn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(DoesNotFit, match=r"^Torn cannot take 2×3: Tensor.item\(\) cannot be called on meta tensors"):
        cost(Torn(), (2, 3))


@pytest.mark.parametrize(
    ("module", "input", "params", "macs"),
    [
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (3, 8, 8), 108 + 4 + 4, 108 * 36),
        (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 8, 8), 112, 108 * 64),
        (nn.Conv2d(3, 4, (2, 5), padding="same"), (3, 8, 8), 124, 120 * 64),
        (nn.Conv2d(3, 4, 3), torch.empty(3, 8, 8), 112, 108 * 36),
        (nn.LSTMCell(3, 4), (2, 3), 4 * 4 * (3 + 4 + 2), 2 * 4 * 4 * (3 + 4)),
        (nn.Linear(3, 4).double(), (2, 3), 16, 24),
    ],
)
def test_modules_of_every_make(module: nn.Module, input: object, params: int, macs: int) -> None:
    found = cost(module, input)
    assert (found.params, found.macs, found.unknown) == (params, macs, ())
    held = sum(p.numel() * p.itemsize for p in module.parameters())
    assert striate.memory(module, input).parameters_nbytes == held


@pytest.mark.parametrize("module", ["lenet5", None, nn.ReLU])
def test_what_is_no_module(module: object) -> None:
    for ask in (cost, striate.memory):
        with pytest.raises(StriateError, match=r"^a net is given as a module, as create_model makes it, got "):
            ask(module, (3, 32, 32))


def test_refusals_name_the_layer() -> None:
    with pytest.raises(DoesNotFit, match=r"^lenet5 cannot take 8×8 images with 3 channels: features.c3 \(conv 5×5\)"):
        cost(create_model("lenet5"), (3, 8, 8))
    with pytest.raises(DoesNotFit, match=r"^1 \(linear\) cannot take 2×7: "):
        cost(nn.Sequential(nn.Linear(5, 7), nn.Linear(6, 2)), (2, 5))
    with pytest.raises(StriateError, match=r"^an input is a shape such as \(3, 224, 224\), a tensor"):
        cost(nn.Linear(2, 2), "224")
    with pytest.raises(StriateError, match=r"at least one element along each axis, got 3×0×4$"):
        cost(nn.Linear(2, 2), (3, 0, 4))


def test_the_layer_table_is_a_view() -> None:
    net = Everything()
    rows = [row for row in cost(net, (4, 8, 6)).layers if not row.functional and row.name != "(not used)"]
    assert [(row.name, row.macs) for row in layer_table(net, (4, 8, 6))] == [(row.name, row.macs) for row in rows]
    assert striate.cost is cost


def test_weightless_nets_are_quick_to_make_and_draw_nothing() -> None:
    state = torch.get_rng_state()
    with weightless():
        net = create_model("vgg19_bn")
    assert all(p.is_meta for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    layer = nn.Linear(2, 2)
    assert not layer.weight.is_meta
