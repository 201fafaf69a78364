"""The parts that only AlexNet has, against the paper's equations."""

import numpy as np
import pytest
import torch

from striate.nets import create_model
from striate.nets.zoo.alexnet import AlexNet2012, krizhevsky_norm


def reference_norm(a: np.ndarray) -> np.ndarray:
    """Krizhevsky 2012, §3.3, as it is written: i over maps, N maps in all, n = 5, k = 2, α = 1e-4, β = 0.75."""
    k, n, alpha, beta = 2.0, 5, 1e-4, 0.75
    maps = a.shape[1]
    b = np.empty_like(a)
    for i in range(maps):
        total = np.zeros_like(a[:, 0])
        for j in range(max(0, i - n // 2), min(maps - 1, i + n // 2) + 1):
            total += a[:, j] ** 2
        b[:, i] = a[:, i] / (k + alpha * total) ** beta
    return b


@pytest.mark.parametrize("maps", [1, 2, 4, 5, 9, 96])
def test_local_response_norm_is_the_papers(maps: int) -> None:
    a = np.random.default_rng(maps).normal(scale=100, size=(2, maps, 3, 4))  # large, so that the sum matters
    given = krizhevsky_norm()(torch.from_numpy(a)).numpy()
    np.testing.assert_allclose(given, reference_norm(a), rtol=1e-12)  # both in double


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
