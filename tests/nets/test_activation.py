"""Another activation in place of a net's ReLUs."""

import pytest
import torch
from torch import nn

from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.activations import ACTIVATIONS, pieces_of

NETS = ["vgg11", "resnet20", "preact_resnet18", "nin_cifar10", "squeezenet1_1", "densenet121", "googlenet"]


@pytest.mark.parametrize("name", NETS)
def test_every_relu_before_the_scores_is_replaced(name: str) -> None:
    relus = [module for module in create_model(name, num_classes=4).modules() if isinstance(module, nn.ReLU)]
    net = create_model(name, num_classes=4, activation="elu")
    left = [key for key, module in net.named_modules() if isinstance(module, nn.ReLU)]
    behind_scores = {"nin_cifar10": ["classifier.1"], "squeezenet1_1": ["classifier.2"]}.get(name, [])
    assert left == behind_scores
    assert sum(isinstance(module, nn.ELU) for module in net.modules()) == len(relus) - len(left)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if pieces_of(name) == 1])
def test_the_net_computes_with_it(activation: str) -> None:
    """Against the published net with its own ReLUs doing the other function, whose hooks see each call."""
    torch.manual_seed(0)
    net = create_model("resnet20", num_classes=3, activation=activation).eval()
    torch.manual_seed(0)
    plain = create_model("resnet20", num_classes=3).eval()
    make = ACTIVATIONS[activation]
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, x, y: make()(x[0]))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(x), plain(x))


def test_the_spec_builds_it_again() -> None:
    spec = create_model("resnet20", num_classes=3, in_chans=1, activation="prelu").spec
    again = create_model("resnet20", num_classes=3, in_chans=1, **spec.settings)
    assert sum(isinstance(module, nn.PReLU) for module in again.modules()) == 19


@pytest.mark.parametrize(
    ("name", "activation", "message"),
    [
        ("resnet20", "rely", "unknown activation 'rely'; did you mean 'relu'?"),
        ("resnet20", "maxout", "maxout takes 2 values for each it gives, and this net's layers give one"),
        ("neocognitron", "tanh", "there is no ReLU in this net for another activation to replace"),
    ],
)
def test_what_cannot_be_says_so(name: str, activation: str, message: str) -> None:
    with pytest.raises(StriateError) as error:
        create_model(name, num_classes=3, activation=activation)
    assert str(error.value) == message
