"""Receptive fields through whole modules: published ones, and against gradients of modules with every kind of move."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.arithmetic import Field
from striate.nets import Net, create_model
from striate.nets.inspect import ModuleCost, cost
from striate.nets.inspect.count import COUNTED, FREE
from striate.nets.inspect.follow import FOLLOWED
from striate.nets.weightless import weightless


def field_at(found: ModuleCost, name: str) -> Field:
    return [row for row in found.layers if row.name == name][-1].field[0]


@pytest.mark.parametrize(("name", "row", "size"), [("alexnet", "features.12", 195), ("vgg16", "features.30", 212)])
def test_published_sizes(name: str, row: str, size: int, zoo: Callable[[str], Net]) -> None:
    """LECTURES.md C3; Araujo 2019, table 1."""
    field = field_at(cost(zoo(name), (3, 224, 224)), row)
    assert (field.size, field.jump) == (size, 32)


@pytest.mark.parametrize(("stride_on", "size"), [("3x3", 427), ("1x1", 483)])
def test_resnet50_by_where_its_stride_is(stride_on: str, size: int) -> None:
    with weightless():
        net = create_model("resnet50", stride_on=stride_on)
    stages = {row.name: row for row in cost(net, (3, 224, 224)).stages}
    assert [field.size for field in stages["layer4"].field] == [size, size]


def test_inception_v3_before_its_pool(zoo: Callable[[str], Net]) -> None:
    """LECTURES.md C3; Araujo 2019, table 1: 1311."""
    net = zoo("inception_v3")
    stages = {row.name: row for row in cost(net, (3, 299, 299)).stages}
    assert stages[net.stages[-1].name].field[0].size == 1311


class Branches(nn.Module):
    """A join of three depths, one of them dilated."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, (5, 1), padding=(4, 0), dilation=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.a(self.a(x)), self.b(x)], dim=1) + 1


class Halves(nn.Module):
    """Slices, put side by side again after a convolution on each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.cat([x[..., :5], x[..., 5:]], dim=-1)[..., 1:-1:2, :])


class Patches(nn.Module):
    """Space to depth by hand, a linear layer on every patch, and back to a map."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(32, 8)
        self.conv = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)
        return self.conv(self.mix(tokens).transpose(1, 2).reshape(n, 8, h // 4, w // 4))


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "branches": (Branches, (2, 21, 23)),
    "halves": (Halves, (2, 13, 11)),
    "patches": (Patches, (2, 32, 24)),
    "strided": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 5, stride=2), nn.AvgPool2d(3, 2, 1), nn.Conv2d(3, 2, 3)),
        (1, 41, 37),
    ),
    "unshuffle": (lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 2, 3, padding=1)), (1, 20, 24)),
    "pads": (lambda: nn.Sequential(nn.ZeroPad2d((3, 1, 0, 2)), nn.Conv2d(1, 2, (3, 2))), (1, 15, 16)),
    "grouped norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.BatchNorm2d(4), nn.PReLU()), (2, 9, 9)),
    "adaptive": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(4)), (1, 16, 24)),
    "signal": (lambda: nn.Sequential(nn.Conv1d(2, 3, 7, stride=3), nn.ReLU(), nn.AvgPool1d(2)), (2, 64)),
    "volume": (lambda: nn.Sequential(nn.Conv3d(1, 2, (1, 3, 2)), nn.AvgPool3d((1, 2, 2))), (1, 5, 12, 11)),
}


@pytest.mark.parametrize("name", MODULES)
def test_fields_are_what_gradients_say(name: str) -> None:
    """Every unit along each axis: the pixels with a gradient lie in its field, and an inner unit's fill it."""
    build, shape = MODULES[name]
    module = build().double().eval()
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.0)  # positive: nothing cancels, no ReLU closes
    fields = cost(module, (1, *shape)).total.field
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    y = module(x)
    filled = [False] * len(fields)
    for axis, field in enumerate(fields):
        for unit in range(y.shape[2 + axis]):
            (grad,) = torch.autograd.grad(y.select(2 + axis, unit).sum(), x, retain_graph=True)
            others = [d for d in range(grad.ndim) if d != 2 + axis]
            at = grad.abs().sum(others).nonzero().flatten()
            if not len(at):
                continue  # a unit that sees only padding
            first, last = int(at[0]), int(at[-1])
            low = field.start + unit * field.jump
            high = low + field.size - 1
            assert low <= first
            assert last <= high
            filled[axis] |= (first, last) == (low, high)
    assert all(filled), f"no unit is as wide as its field {fields}"


def test_attention_sees_everything() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 32, 16, stride=16)
            self.layer = nn.TransformerEncoderLayer(32, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.patch(x).flatten(2).transpose(1, 2))

    found = cost(Tokens(), (3, 224, 160))
    assert [field.size for field in found.total.field] == [224, 160]
    assert field_at(found, "patch").size == 16


def test_a_gate_of_the_whole_image_lets_every_unit_see_it() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y * y.mean((2, 3), keepdim=True).sigmoid()

    (rows, columns) = cost(Gated(), (2, 20, 30)).total.field
    assert rows.start <= 0
    assert rows.start + rows.size >= 20
    assert columns.start + columns.size >= 30


def test_what_is_rolled_or_written_through_a_view_sees_everything() -> None:
    class Written(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out = torch.zeros(x.shape[0], 2, *x.shape[2:], device=x.device)
            out[:, :1] = x
            return out

    class Rolled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.roll(x, 1, dims=(2,))

    assert [field.size for field in cost(Written(), (1, 6, 8)).total.field] == [6, 8]
    assert [field.size for field in cost(Rolled(), (1, 6, 8)).total.field] == [6, 1]


def test_a_recurrent_net_sees_the_whole_sequence() -> None:
    assert cost(nn.LSTM(4, 5, batch_first=True), torch.empty(2, 7, 4)).total.field[0].size == 7


def test_upsampling_and_transposed_convolution_step_by_fractions() -> None:
    up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3, padding=1))
    assert str(cost(up, (1, 8, 8)).total.field[0]) == "Field(size=2, jump=Fraction(1, 2), start=Fraction(-3, 4))"
    back = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1)
    assert cost(back, (1, 8, 8)).total.field[0].size == 2
    shuffled = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(1, 1, 3, padding=1))
    assert cost(shuffled, (1, 8, 8)).total.field[0].size == 4


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def ups(x: Tensor) -> Tensor:
    return torch.arange(11, -1, -1, device=x.device)


def assigned(x: Tensor, at: Any, what: Tensor | float) -> Tensor:
    y = x.clone()
    y[at] = what
    return y


def copied_index(x: Tensor) -> Tensor:
    return x.index_copy(2, ups(x), x * 2)


def scattered(x: Tensor) -> Tensor:
    at = ups(x)[:, None].expand(1, 2, 12, 10)
    return torch.zeros_like(x).scatter(2, at, x)


def partial(x: Tensor) -> Tensor:
    """FasterNet's partial convolution (Chen 2023), as its authors write it for inference: some channels in place."""
    y = x.clone()
    y[:, :1] = F.avg_pool2d(x[:, :1], 3, 1, 1)
    return y


def chunked(x: Tensor) -> Tensor:
    y = x * 1
    a, b = y[:, :1], y[:, 1:]
    a.relu_()
    return a + b


def shifted(x: Tensor) -> Tensor:
    return x + assigned(x, (slice(None), slice(None), slice(5, None)), x[:, :, :-5])


def base_behind_a_view(x: Tensor) -> Tensor:
    y = x * 1
    flat = y.flatten(2)
    y.add_(F.avg_pool2d(x, 3, 1, 1))
    return flat.unflatten(2, (12, 10))


MIXED: dict[str, tuple[Callable[[Tensor], Tensor], list[int]]] = {  # of an image of 12×10, what a unit sees
    "cumsum": (lambda x: x.cumsum(3), [1, 10]),
    "cumprod": (lambda x: x.cumprod(-2), [12, 1]),
    "cummax": (lambda x: x.cummax(2)[0], [12, 1]),
    "cummin": (lambda x: x.cummin(2)[0], [12, 1]),
    "logcumsumexp": (lambda x: x.logcumsumexp(3), [1, 10]),
    "cumsum in place": (lambda x: (x * 1).cumsum_(3), [1, 10]),
    "sort": (lambda x: x.sort(3)[0], [1, 10]),
    "sort, the last by default": (lambda x: x.sort()[0], [1, 10]),
    "stable sort": (lambda x: x.sort(dim=2, stable=True)[0], [12, 1]),
    "topk": (lambda x: x.topk(10, 3)[0], [1, 10]),
    "index": (lambda x: x[:, :, ups(x)], [12, 1]),
    "index beside the input": (lambda x: x[:, :, ups(x)] + x, [12, 1]),
    "two indices": (lambda x: x[:, :, ups(x)[2:], ups(x)[2:]], [12, 10]),
    "channels": (lambda x: x[:, torch.tensor([1, 0], device=x.device)], [1, 1]),
    "index_select": (lambda x: x.index_select(2, ups(x)), [12, 1]),
    "index_copy": (copied_index, [12, 1]),
    "index_add": (lambda x: x.index_add(2, ups(x), x), [12, 1]),
    "index_put": (lambda x: assigned(x, (slice(None), slice(None), ups(x)), x), [12, 10]),
    "index_put of a constant": (lambda x: assigned(x, (slice(None), slice(None), ups(x)[:3]), 0.0), [1, 1]),
    "scatter": (scattered, [12, 1]),
    "slice_scatter": (lambda x: x.slice_scatter(x[:, :, :4], 2, 3, 7), [12, 1]),
    "select_scatter": (lambda x: x.select_scatter(x[:, :, 0], 2, 3), [12, 10]),
    "a slice written": (shifted, [12, 10]),
    "a slice of a constant written": (lambda x: assigned(x, (slice(None), slice(None), slice(3)), 0.0), [1, 1]),
    "channels written": (partial, [3, 3]),
    "a view of what was written": (base_behind_a_view, [14, 12]),
    "a chunk in place": (chunked, [1, 1]),
    "unfold": (lambda x: x.unfold(2, 3, 1).sum(-1), [3, 1]),
    "unfold by steps": (lambda x: x.unfold(3, 4, 2).amax(-1), [1, 4]),
    "repeat": (lambda x: x.repeat(1, 1, 2, 1), [12, 1]),
    "repeated channels": (lambda x: x.repeat(1, 3, 1, 1), [1, 1]),
    "norm over channels": (lambda x: F.cosine_similarity(x, x + 1)[:, None], [1, 1]),
    "argmax beside": (lambda x: x + x.amax(1, keepdim=True) * x.argmax(1, keepdim=True), [1, 1]),
    "dropped channels": (lambda x: F.dropout2d(x, 0.5, training=True), [1, 1]),
    "elements of their own": (lambda x: torch.where(x.sinh() > 0.5, x.atan(), x.erfc()).clamp(0, 1), [1, 1]),
    "nobody knows": (lambda x: x.renorm(2, 1, 1.0), [12, 10]),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_places_and_keeps_the_shape(name: str) -> None:
    """Each unit's pixels with a gradient lie in its field, whose size is known; the operators have names."""
    function, sizes = MIXED[name]
    found = cost(Called(function), (2, 12, 10))
    assert [field.size for field in found.total.field] == sizes
    assert [op.name for op in found.unknown] == (["renorm"] if name == "nobody knows" else [])
    torch.manual_seed(0)
    x = (torch.rand(1, 2, 12, 10, dtype=torch.float64) + 0.5).requires_grad_()
    y = function(x)
    for axis, field in enumerate(found.total.field):
        for unit in range(y.shape[2 + axis] if y.ndim == 4 else 0):
            (grad,) = torch.autograd.grad(y.select(2 + axis, unit).sum(), x, retain_graph=True)
            at = grad.abs().sum([d for d in range(4) if d != 2 + axis]).nonzero().flatten()
            low = field.start + unit * field.jump
            assert not len(at) or (low <= int(at[0]) and int(at[-1]) <= low + field.size - 1)


def test_operators_of_known_cost_have_known_places() -> None:
    """Then what is named as unknown is everything that is taken to see everything for want of knowledge."""
    assert not (set(COUNTED) | FREE) - FOLLOWED


def test_words_see_their_own_place() -> None:
    found = cost(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3)), torch.zeros(1, 7, dtype=torch.long))
    assert [field.size for field in found.total.field] == [1]
