"""The parts that only AlexNet has, against the paper's equations."""

import pytest
import torch

from striate.nets import create_model
from striate.nets.zoo.alexnet import AlexNet2012


def small(**settings: object) -> AlexNet2012:
    net = create_model("alexnet2012", num_classes=2, input_size=(67, 67), **settings)  # a 1×1 map for the classifier
    assert isinstance(net, AlexNet2012)
    return net


def test_a_map_of_conv2_sees_one_of_the_two_devices() -> None:
    conv2 = small().get_submodule("features.conv2")
    x = torch.randn(1, 96, 5, 5, requires_grad=True)
    conv2(x)[:, :128].sum().backward()  # the maps of the first device
    assert x.grad is not None
    assert x.grad[:, :48].any()
    assert not x.grad[:, 48:].any()


def test_published_initialisation() -> None:
    """§5: deviation 0.01; biases one in conv2, conv4, conv5 and the hidden fully connected layers, zero elsewhere."""
    torch.manual_seed(0)
    state = small(init="paper").state_dict()
    for name, tensor in state.items():
        if name.endswith("weight") and tensor.numel() > 10_000:
            assert float(tensor.std()) == pytest.approx(0.01, rel=0.05), name
    ones = {name.split(".")[1] for name, tensor in state.items() if name.endswith("bias") and bool((tensor == 1).all())}
    zeros = {name.split(".")[1] for name, tensor in state.items() if name.endswith("bias") and not tensor.any()}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}


def test_norm_comes_after_the_relu_and_before_the_pool() -> None:
    """§3.5: normalisation follows conv1 and conv2 (and their ReLU), pooling follows the normalisation."""
    order = [name for name, _ in small().get_submodule("features").named_children()]
    assert order[:8] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]
