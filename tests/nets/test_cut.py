"""A net cut off behind a layer computes what the whole net has there, without what lies behind."""

from pathlib import Path

import pytest
import torch

from striate.errors import StriateError
from striate.nets import create_model, list_models
from striate.nets.cut import cut
from striate.nets.registry import build
from striate.nets.trace import walk
from striate.nets.weightless import weightless
from striate.nets.weights import ModelCard, load_model, save_model


@pytest.mark.parametrize(
    ("name", "place", "px"),
    [("resnet20", "layer2", 16), ("squeezenet1_1", "features.7", 64), ("densenet121", "features.denseblock1", 64),
     ("googlenet", "inception3b", 64), ("lenet5", "classifier.output:in", 32), ("fractalnet20", "pools.1", 32)],
)  # fmt: skip
@torch.no_grad()
def test_it_computes_what_the_whole_net_has_there(name: str, place: str, px: int) -> None:
    torch.manual_seed(0)
    net = create_model(name, num_classes=3, input_size=(px, px)).eval()
    seen: list[torch.Tensor] = []
    module = net.get_submodule(place.removesuffix(":in"))
    if place.endswith(":in"):
        module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    else:
        module.register_forward_hook(lambda _, given, gave: seen.append(gave))
    x = torch.randn(2, 3, px, px)
    net(x)
    part = cut(net, place).eval()
    torch.testing.assert_close(part(x), seen[-1])
    assert sum(p.numel() for p in part.parameters()) < sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", list_models("*")[::5])
def test_every_family_can_be_cut_at_its_first_and_last_stage(name: str) -> None:
    with weightless():
        net = create_model(name, num_classes=3)
    for stage in {net.stages[0].name, net.stages[-1].name} if net.stages else set():
        with weightless():
            made = build("cut", num_classes=5, input_size=net.spec.input_size, net=name, place=stage)
        assert walk(made, (3, *net.spec.input_size)).output_shape == (5,)


@torch.no_grad()
def test_a_model_file_holds_it(tmp_path: Path) -> None:
    settings = {
        "net": "resnet20",
        "place": "layer2",
        "pool": "mean",
        "unit": True,
        "net_settings": {},
        "net_classes": 10,
    }
    card = ModelCard(net="cut", classes=("a", "b"), in_chans=3, input_size=(16, 16), settings=settings)
    torch.manual_seed(0)
    net = card.build().eval()
    save_model(tmp_path / "cut.safetensors", net, card)
    loaded, _ = load_model(tmp_path / "cut.safetensors")
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded(x), net(x))
    assert not any("layer3" in name for name in loaded.state_dict())
    torch.testing.assert_close(net.features(x).norm(dim=1), torch.ones(2))


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(StriateError, match="unknown layer of resnet20 'layer8'; did you mean 'layer"):
        build("cut", net="resnet20", place="layer8", input_size=(16, 16))
    with pytest.raises(StriateError, match="a cut net is made of another one"):
        build("cut")
