"""What does not fit is refused with the layer, the reason and what to do."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from striate.errors import StriateError
from striate.nets import DoesNotFit, create_model, layer_table

REFUSED_AT_CREATION = [
    (
        "vgg16",
        (16, 16),
        "vgg16 cannot take 16×16 images: features.30 (max-pool 2×2, stride 2) would see 1×1 px; "
        "use images of at least 32×32",
    ),
    (
        "vgg11_bn",
        (300, 31),
        "vgg11_bn cannot take 300×31 images: features.28 (max-pool 2×2, stride 2) would see 18×1 px; "
        "use images of at least 32×32",
    ),
    (
        "lenet5",
        (8, 8),
        "lenet5 cannot take 8×8 images: features.c3 (conv 5×5) would see 2×2 px; use images of at least 16×16",
    ),
    (
        "alexnet2012",
        (60, 100),
        "alexnet2012 cannot take 60×100 images: features.pool5 (max-pool 3×3, stride 2) would see 2×5 px; "
        "use images of at least 67×67",
    ),
    (
        "alexnet",
        (32, 32),
        "alexnet cannot take 32×32 images: features.12 (max-pool 3×3, stride 2) would see 1×1 px; "
        "use images of at least 63×63",
    ),
    (
        "mlp",
        (0, 4),
        "mlp cannot take 0×4 images: an image has at least one pixel; use images of at least 1×1",
    ),
]


@pytest.mark.parametrize(("name", "size", "message"), REFUSED_AT_CREATION)
def test_a_size_given_at_creation_is_checked(name: str, size: tuple[int, int], message: str) -> None:
    with pytest.raises(DoesNotFit) as refused:
        create_model(name, num_classes=2, input_size=size)
    assert str(refused.value) == message


@pytest.mark.parametrize(("name", "side"), [("vgg16", 32), ("lenet5", 16), ("alexnet2012", 67), ("alexnet", 63)])
def test_the_size_advised_is_the_smallest_that_fits(name: str, side: int) -> None:
    with torch.device("meta"):
        create_model(name, input_size=(side, side))
        with pytest.raises(DoesNotFit, match=f"at least {side}×{side}"):
            create_model(name, input_size=(side - 1, side - 1))


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "plain20", "mlp", "two_layer"])
def test_one_pixel_is_enough_for_some(name: str) -> None:
    net = create_model(name, num_classes=2, input_size=(1, 1))
    assert net.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 2)


def says(net: nn.Module, x: torch.Tensor) -> str:
    with pytest.raises(DoesNotFit) as refused:
        net(x)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_forward_with_the_wrong_size_says_which_layer() -> None:
    lenet = create_model("lenet5", num_classes=10, in_chans=1)
    assert says(lenet, torch.zeros(2, 1, 28, 28)) == (
        "lenet5 cannot take 28×28 images: classifier.flatten (flatten) takes 16×5×5 and would get 16×4×4; "
        "resize them to 32×32, or create the net with input_size=(28, 28)"
    )
    assert says(lenet, torch.zeros(2, 1, 8, 8)) == (
        "lenet5 cannot take 8×8 images: features.c3 (conv 5×5) would see 2×2 px; resize them to 32×32"
    )
    with torch.device("meta"):
        vgg = create_model("vgg13", num_classes=10)
    assert says(vgg, torch.zeros(2, 3, 16, 40, device="meta")) == (
        "vgg13 cannot take 16×40 images: features.24 (max-pool 2×2, stride 2) would see 1×2 px; "
        "use images of at least 32×32"
    )
    mlp = create_model("mlp", num_classes=10)
    assert says(mlp, torch.zeros(2, 3, 16, 64)) == (
        "mlp cannot take 16×64 images: features.flatten (flatten) takes 3×32×32 and would get 3×16×64; "
        "resize them to 32×32"
    )


def test_an_image_given_sideways_is_refused() -> None:
    """It has as many values as an upright one, and a plain flatten would take it."""
    net = create_model("lenet5", num_classes=2, input_size=(32, 64))
    assert net(torch.zeros(1, 3, 32, 64)).shape == (1, 2)
    assert "takes 16×5×13 and would get 16×13×5" in says(net, torch.zeros(1, 3, 64, 32))


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mlp"])
def test_wrong_channels_batches_and_types(name: str) -> None:
    net = create_model(name, num_classes=10, in_chans=1)
    assert says(net, torch.zeros(2, 3, 32, 32)) == (
        f"{name} was made for images with 1 channel and got 3; convert the images, or create the net with in_chans=3"
    )
    assert says(net, torch.zeros(1, 32, 32)) == (
        f"{name} takes a batch N×C×H×W and got shape (1, 32, 32); one image is a batch of one: x[None]"
    )
    assert says(net, torch.zeros(32, 32)) == f"{name} takes a batch N×C×H×W and got shape (32, 32)"
    assert says(net, torch.zeros(2, 1, 32, 32, dtype=torch.uint8)) == (
        f"{name} takes floating-point images and got torch.uint8; normalise them first"
    )


def test_an_error_that_is_not_about_the_images_is_left_alone() -> None:
    net = create_model("resnet20", num_classes=2)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        net(torch.zeros(1, 3, 1, 1))  # batch norm, in training, on one value
    with pytest.raises(RuntimeError, match=r"expected scalar type Double"):
        net(torch.zeros(2, 3, 8, 8).double())
    net.linear = nn.Linear(63, 2)  # a net that takes no image at all
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes") as broken:
        net(torch.zeros(2, 3, 8, 8))
    assert not isinstance(broken.value, DoesNotFit)


def test_the_walk_leaves_the_net_as_it_was() -> None:
    net = create_model("resnet20", num_classes=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    layer_table(net, (3, 32, 32))
    with pytest.raises(DoesNotFit):
        net(torch.zeros(1, 2, 8, 8))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert net.training


REFUSED_BY_NAME = [
    ({"name": "resnet81"}, "unknown net 'resnet81'; did you mean 'resnet18'?"),
    (
        {"name": "lenet5", "actvation": "tanh"},
        "unknown setting of lenet5 'actvation'; did you mean 'activation'? (lenet5 takes: activation, pool)",
    ),
    (
        {"name": "plain20", "widths": 3},
        "unknown setting of plain20 'widths'; plain20 takes none",
    ),
    ({"name": "lenet5", "activation": "rely"}, "unknown activation 'rely'; did you mean 'relu'?"),
    ({"name": "lenet5", "pool": 3}, "unknown pool '3'; choose from max, avg"),
    ({"name": "resnet50", "stride_on": "5x5"}, "unknown stride_on '5x5'; choose from 3x3, 1x1"),
    ({"name": "alexnet", "dropout": 1.0}, "dropout is a probability, at least 0 and below 1, got 1.0"),
    ({"name": "vgg11", "dropout": "half"}, "dropout is a probability, at least 0 and below 1, got 'half'"),
    (
        {"name": "mlp", "hidden": ()},
        "hidden is the width of each hidden layer, whole numbers of at least 1, got ()",
    ),
    (
        {"name": "two_layer", "hidden": 0},
        "hidden is the width of each hidden layer, whole numbers of at least 1, got 0",
    ),
    *(
        (
            {"name": name, "hidden": given},
            f"hidden is the width of each hidden layer, whole numbers of at least 1, got {given}",
        )
        for name, given in (("two_layer", True), ("two_layer", 2.0), ("mlp", None), ("mlp", (8, True)))
    ),
    ({"name": "googlenet", "auxiliary": "no"}, "auxiliary is true or false, got 'no'"),
    ({"name": "densenet121", "memory_efficient": "false"}, "memory_efficient is true or false, got 'false'"),
    ({"name": "resnet18", "zero_init_residual": None}, "zero_init_residual is true or false, got None"),
    ({"name": "mlp", "batch_norm": 2}, "batch_norm is true or false, got 2"),
    (
        {"name": "neocognitron", "planes": True},
        "planes is how many kinds of cell a stage has, a whole number from 1, got True",
    ),
    ({"name": "swapout20", "inference": None}, "unknown inference 'None'; choose from deterministic, stochastic"),
    (
        {"name": "lenet5", "num_classes": 0},
        "lenet5 needs at least 1 class and 1 channel, got num_classes=0 and in_chans=3",
    ),
    (
        {"name": "lenet5", "pretrained": True},
        "no published weights are known for lenet5; give a file: pretrained='weights.safetensors', or a hub's: "
        "pretrained='hf:owner/name'",
    ),
    ({"name": "RESNET18"}, "unknown net 'RESNET18'; did you mean 'resnet18'?"),
    ({"name": "WRN16_4"}, "unknown net 'WRN16_4'; did you mean 'wrn16_4'?"),
    ({"name": None}, "a net is given by its name, such as 'resnet18', got None"),
    ({"name": ["lenet5"]}, "a net is given by its name, such as 'resnet18', got ['lenet5']"),
    ({"name": "lenet5", "num_classes": 2.5}, "lenet5: num_classes is a whole number, got 2.5"),
    ({"name": "lenet5", "num_classes": "10"}, "lenet5: num_classes is a whole number, got '10'"),
    ({"name": "lenet5", "num_classes": True}, "lenet5: num_classes is a whole number, got True"),
    ({"name": "lenet5", "in_chans": None}, "lenet5: in_chans is a whole number, got None"),
    ({"name": "lenet5", "input_size": 224}, "lenet5: input_size is (height, width) in px, such as (32, 32), got 224"),
    (
        {"name": "lenet5", "input_size": (32.0, 32)},
        "lenet5: input_size is (height, width) in px, such as (32, 32), got (32.0, 32)",
    ),
    (
        {"name": "resnet18", "input_size": (3, 224, 224)},
        "resnet18: input_size is (height, width) in px, such as (224, 224), got (3, 224, 224)",
    ),
    (
        {"name": "lenet5", "input_size": "32"},
        "lenet5: input_size is (height, width) in px, such as (32, 32), got '32'",
    ),
    (
        {"name": "lenet5", "pretrained": 5},
        "pretrained is True, a name, or the path of a file of weights, got 5",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED_BY_NAME)
def test_names_and_settings_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(StriateError, match=f"^{re.escape(message)}$"), torch.device("meta"):
        create_model(**arguments)


def test_whole_numbers_of_any_make_are_taken() -> None:
    """NumPy's counts and a list of two sides; the spec holds plain ones, which a model file can write down."""
    with torch.device("meta"):
        net = create_model("lenet5", num_classes=np.int64(7), in_chans=np.uint8(1), input_size=[np.int32(32), 36])
    spec = net.spec
    assert (spec.num_classes, spec.in_chans, spec.input_size) == (7, 1, (32, 36))
    assert {type(n) for n in (spec.num_classes, spec.in_chans, *spec.input_size)} == {int}
    with torch.device("meta"):
        net = create_model("mlp", hidden=np.array([8, 4]), batch_norm=np.True_, dropout=np.float32(0.5))
        also = create_model("mlp", hidden=[8, 4], batch_norm=1, dropout=0.5)
    assert json.loads(json.dumps(net.spec.settings)) == {"hidden": [8, 4], "batch_norm": True, "dropout": 0.5}
    assert str(net) == str(also)


def test_an_activation_of_none_is_none_given() -> None:
    with torch.device("meta"):
        assert create_model("resnet20", activation=None).spec.settings == {}


def test_layer_table_refuses_what_the_net_refuses() -> None:
    net = create_model("lenet5", num_classes=2)
    with pytest.raises(
        DoesNotFit,
        match=r"^lenet5 cannot take 32×32 images with 1 channel: features\.c1 \(conv 5×5\) takes 3 channels",
    ):
        layer_table(net, (1, 32, 32))
    with pytest.raises(
        DoesNotFit,
        match=r"^Sequential cannot take 4×4 images with 3 channels: 0 \(linear\) takes 5 values .* get 4$",
    ):
        layer_table(nn.Sequential(nn.Linear(5, 2)), (3, 4, 4))


def test_settings_may_be_numpys():
    mlp = create_model("mlp", num_classes=np.int64(3), hidden=(np.int64(5), 4), input_size=(np.int64(8), 8))
    assert mlp.spec.settings == {"hidden": (5, 4)}
    assert json.dumps(mlp.spec.settings) == '{"hidden": [5, 4]}'
