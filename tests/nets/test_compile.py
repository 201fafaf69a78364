"""Nets go through torch's compilers in one piece: looking for reasons happens outside the graph."""

import pytest
import torch

from striate.nets import Net, NetSpec, create_model
from striate.nets.zoo.vgg import VGG


def made(name: str) -> Net:
    if name == "tiny_vgg":
        return VGG(NetSpec(name=name, num_classes=3, in_chans=3, input_size=(32, 32)), "4 L M 4:1 M", True)
    return create_model(name, num_classes=3, input_size=(32, 32))


NETS = ["mlp", "lenet5", "resnet20", "plain20", pytest.param("resnet18", marks=pytest.mark.slow), "tiny_vgg"]


@pytest.mark.parametrize("name", NETS)
def test_compiles_to_one_graph(name: str) -> None:
    net, x = made(name).eval(), torch.randn(2, 3, 32, 32)
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), net(x))


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "tiny_vgg"])
def test_exports_with_any_batch_size(name: str) -> None:
    net = made(name).eval()
    exported = torch.export.export(
        net, (torch.randn(2, 3, 32, 32),), dynamic_shapes={"x": {0: torch.export.Dim("batch")}}
    )
    x = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(exported.module()(x), net(x))


def test_channels_last_gives_the_same_scores() -> None:
    for name in ("lenet5", "resnet20"):
        net, x = made(name).eval(), torch.randn(2, 3, 32, 32)
        expected = net(x)
        given = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)  # sums in another order
