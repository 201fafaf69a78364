"""A converted net as a net of ours: features and head, other classes, beginning anew, rates of its own, training."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets import DoesNotFit, create_model, list_models
from striate.nets.caffe import CaffeNet, parameter_groups
from striate.nets.caffe.convert import convert
from striate.nets.caffe.fillers import fill
from striate.nets.caffe.messages import message_class
from striate.nets.weights import load_model, save_model

TEXT = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { crop_size: 12 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 decay_mult: 2 }
  param { lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 8 kernel_size: 3 pad: 1
    weight_filler { type: "msra" } bias_filler { type: "constant" value: 0.2 } } }
layer { name: "norm1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "PReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool1" top: "pool1" }
layer { name: "features" type: "InnerProduct" bottom: "pool1" top: "scores"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy" include { phase: TEST } }
"""


def net(**settings: Any) -> CaffeNet:
    settings = {"num_classes": 4, "in_chans": 3, "input_size": (12, 12), "prototxt": TEXT} | settings
    made = create_model("caffe", **settings)
    assert isinstance(made, CaffeNet)
    return made


def test_the_contract() -> None:
    made = net().eval()
    x = torch.rand(2, 3, 12, 12)
    features = made.features(x)
    assert features.shape == (2, 8, 6, 6)
    assert torch.equal(made.head(features), made(x))
    assert [(stage.name, stage.stride, stage.channels) for stage in made.stages] == [("layers.drop", 2, 8)]
    assert dict(made.named_modules())[made.stages[0].name](features).shape == features.shape
    assert "caffe" not in list_models()
    with pytest.raises(DoesNotFit, match=r"caffe cannot take 12×14 images: .*; resize them to 12×12"):
        made(torch.rand(1, 3, 12, 14))
    with pytest.raises(StriateError, match="convert one with `striate convert`"):
        create_model("caffe")


def test_another_number_of_classes() -> None:
    made = net(num_classes=7)
    assert made(torch.rand(2, 3, 12, 12)).shape == (2, 7)
    assert made.layers.get_submodule("features").weight.shape == (7, 8 * 36)
    unlearnt = TEXT.split('layer { name: "conv1"')[0] + (
        'layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" pooling_param { global_pooling: true } }'
    )
    with pytest.raises(StriateError, match="the prototxt gives 3×1×1, not 7 scores"):
        net(num_classes=7, prototxt=unlearnt)


def test_it_begins_as_its_fillers_say() -> None:
    torch.manual_seed(1)
    layers = dict(net().layers.named_children())
    assert torch.equal(layers["conv1"].bias, torch.full((8,), 0.2))
    assert layers["conv1"].weight.detach().std() == pytest.approx(math.sqrt(2 / 27), rel=0.2)
    side = math.sqrt(3 / 288)
    assert layers["features"].weight.abs().max() <= side
    assert layers["features"].weight.detach().std() == pytest.approx(side / math.sqrt(3), rel=0.1)
    assert torch.equal(layers["scale1"].weight, torch.ones(8))
    assert torch.equal(layers["relu1"].weight, torch.full((8,), 0.25))
    assert torch.equal(layers["norm1"].running_var, torch.ones(8))


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ({"type": "constant", "value": 3}, lambda x: (x == 3).all()),
        ({"type": "uniform", "min": 1, "max": 2}, lambda x: (x >= 1).all() and (x <= 2).all() and x.std() > 0.2),
        ({"type": "gaussian", "mean": 5, "std": 0.1}, lambda x: abs(x.mean() - 5) < 0.02 > abs(x.std() - 0.1)),
        ({"type": "gaussian", "std": 1, "sparse": 8}, lambda x: abs((x != 0).float().mean() - 0.25) < 0.05),
        ({"type": "xavier", "variance_norm": 1}, lambda x: abs(x.std() - math.sqrt(1 / 288)) < 0.005),
        ({"type": "msra", "variance_norm": 2}, lambda x: abs(x.std() - math.sqrt(2 / 216)) < 0.005),
        ({"type": "positive_unitball"}, lambda x: torch.allclose(x.flatten(1).sum(1), torch.ones(32))),
    ],
)
def test_fillers(text: dict[str, Any], check: Any) -> None:
    torch.manual_seed(0)
    tensor = torch.empty(32, 16, 3, 3)
    fill(tensor, message_class("FillerParameter")(**text))
    assert check(tensor)


def test_a_bilinear_filler_enlarges_without_a_seam() -> None:
    layer = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
    fill(layer.weight, message_class("FillerParameter")(type="bilinear"))
    x = torch.arange(5.0).expand(1, 1, 5, 5)
    enlarged = layer(x)[0, 0, 4, 2:8]
    torch.testing.assert_close(enlarged, torch.tensor([0.75, 1.25, 1.75, 2.25, 2.75, 3.25]))
    with pytest.raises(StriateError, match="unknown filler 'xavir'; did you mean 'xavier'"):
        fill(layer.weight, message_class("FillerParameter")(type="xavir"))


def test_rates_and_decays_are_the_prototxts() -> None:
    made = net()
    groups = parameter_groups(made, lr=0.1, weight_decay=0.01)
    found = {(g["lr"], g["weight_decay"]): g["params"] for g in groups}
    conv = made.layers.get_submodule("conv1")
    assert found[0.1, 0.02] == [conv.weight]
    assert found[0.2, 0.0] == [conv.bias]
    assert sum(len(g["params"]) for g in groups) == len(list(made.parameters()))


def test_it_trains() -> None:
    """One batch is learnt by heart, with the rates that the prototxt gives its blobs."""
    torch.manual_seed(0)
    made = net(scale=0.01)
    x, y = torch.rand(8, 3, 12, 12) * 255, torch.arange(8) % 4
    optimiser = torch.optim.SGD(parameter_groups(made, lr=0.05, weight_decay=0.0), momentum=0.9)
    losses: list[Tensor] = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(made(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    assert losses[-1] < 0.1 * losses[0]
    assert all(torch.isfinite(parameter).all() for parameter in made.parameters())


def test_mean_order_and_scale_travel_in_the_model_file(tmp_path: Path, model_of: Any) -> None:
    prototxt, weights, _ = model_of(TEXT)
    made = convert(prototxt, weights, mean=(1, 2, 3), scale=0.5, resize=(16, 16), classes="abcd")
    save_model(tmp_path / "model.safetensors", made.net, made.card)
    again, card = load_model(tmp_path / "model.safetensors")
    x = torch.rand(2, 3, 12, 12) * 255
    assert torch.equal(again(x), made.net(x))
    torch.testing.assert_close(again.input(x), (x[:, [2, 1, 0]] - torch.tensor([1.0, 2, 3]).view(3, 1, 1)) * 0.5)
    assert card.preprocess["resize_size"] == [16, 16]
    assert card.classes == tuple("abcd")


def test_shared_parameters_are_one() -> None:
    name = 'param { name: "w" } param { name: "b" }'
    text = (
        'input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6 '
        'layer { name: "one" type: "Convolution" bottom: "data" top: "one" convolution_param { num_output: 2 '
        f'kernel_size: 3 pad: 1 }} {name} }} layer {{ name: "two" type: "Convolution" bottom: "one" top: "two" '
        f"convolution_param {{ num_output: 2 kernel_size: 3 pad: 1 }} {name} }}"
    )
    made = create_model("caffe", num_classes=2, in_chans=2, input_size=(6, 6), prototxt=text)
    assert len(list(made.parameters())) == 2
    with pytest.raises(StriateError, match=r"layer 'two' \(Convolution\) shares b, w with 'one' and differs from it"):
        create_model(
            "caffe", num_classes=2, in_chans=2, input_size=(6, 6), prototxt=text.replace("pad: 1 }", "pad: 2 }", 1)
        )


def test_transfer_from_its_own_model_file(tmp_path: Path) -> None:
    old = net()
    torch.save(old.state_dict(), tmp_path / "old.pth")
    made = net(num_classes=9, pretrained=tmp_path / "old.pth")
    assert made.notes == ("layers.features begins anew: the weights know 4 classes and the net has 9",)
    assert torch.equal(made.layers.get_submodule("conv1").weight, old.layers.get_submodule("conv1").weight)


def test_it_exports_as_one_graph() -> None:
    made = net().eval()
    x = torch.rand(1, 3, 12, 12)
    exported = torch.export.export(made, (x,)).module()
    torch.testing.assert_close(exported(x), made(x))
