"""The layer table against real forwards, and what it must not do: allocate, or change anything."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from striate.nets import LayerRow, Net, create_model, layer_table
from striate.nets.describe import describe, windows


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20", "plain32"])
def test_rows_are_what_a_real_forward_does(name: str) -> None:
    net = create_model(name, num_classes=3).eval()
    seen: list[tuple[str, tuple[int, ...]]] = []
    for path, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, y, path=path: seen.append((path, tuple(y.shape[1:]))))
    net(torch.zeros(1, 3, 32, 32))
    really = list(seen)
    assert [(row.name, row.output_shape) for row in layer_table(net, (3, 32, 32))] == really
    assert seen == really  # the walk does not call the hooks of others


@pytest.mark.parametrize("name", ["lenet5", "alexnet2012", "vgg11_lrn", "vgg16c_bn", "resnet50", "resnet20"])
def test_windows_arithmetic_agrees_with_torch(name: str, zoo: Callable[[str], Net]) -> None:
    net = zoo(name)
    size = net.spec.input_size
    inputs: dict[str, tuple[int, int]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda m, x, path=path: inputs.__setitem__(path, tuple(x[0].shape[2:])))
        for path, module in net.named_modules()
        if windows(module)
    ]
    net(torch.empty(1, 3, *size, device="meta"))
    for hook in hooks:
        hook.remove()
    rows = {row.name: row for row in layer_table(net, (3, *size))}
    assert inputs
    for path, (height, width) in inputs.items():
        axes = windows(net.get_submodule(path))
        assert axes is not None
        assert rows[path].output_shape[1:] == (axes[0].out(height), axes[1].out(width))


def test_a_big_net_is_looked_at_without_memory() -> None:
    with torch.device("meta"):
        net = create_model("vgg19")
    table = layer_table(net, (3, 224, 224))
    assert all(parameter.is_meta for parameter in net.parameters())
    assert sum(row.params for row in table) == 143_667_240


def test_a_layer_called_twice_has_two_rows_and_one_set_of_parameters() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(x)) * self.scale

    rows = layer_table(Twice(), (2, 4, 5))
    conv = {"name": "conv", "kind": "conv 3×3", "output_shape": (2, 4, 5), "macs": 36 * 20}
    assert rows == [
        LayerRow(name="", kind="Twice", output_shape=(2, 4, 5), params=1, macs=0),
        LayerRow(**conv, params=36),
        LayerRow(**conv, params=0),
    ]


def test_layers_in_words() -> None:
    assert describe(nn.Conv2d(4, 4, (1, 7), stride=(1, 2), groups=2)) == "conv 1×7, stride 1×2, 2 groups"
    assert describe(nn.AvgPool2d(2)) == "average-pool 2×2, stride 2"
    assert describe(nn.Conv2d(4, 4, 3, padding="same")) == "conv"
    assert describe(nn.BatchNorm2d(3)) == "batch norm"
    assert describe(nn.GELU()) == "GELU"
