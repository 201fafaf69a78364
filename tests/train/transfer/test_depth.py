"""A net by depth: every net of the zoo has an order, and a name that is no stage's is refused."""

import pytest

from striate.errors import StriateError
from striate.nets import Net, create_model, list_models
from striate.nets.weightless import weightless
from striate.train.transfer.depth import depth_of


def test_a_resnet_is_its_stages_and_the_scores(net: Net) -> None:
    depth = depth_of(net)
    assert depth.places == ("layer1", "layer2", "layer3")
    assert [name for name, _ in depth.groups] == ["layer1", "layer2", "layer3", "linear"]
    assert depth.groups[0][1][:3] == ("conv1", "bn1", "relu")  # what comes before the first stage ends with it
    assert (depth.frozen(""), depth.frozen("layer2"), depth.frozen("all")) == (0, 2, 3)


def test_hidden_layers_of_a_head_are_places_and_a_group() -> None:
    with weightless():
        depth = depth_of(create_model("alexnet", num_classes=5))
    assert depth.places[-2:] == ("classifier.4:in", "classifier.6:in")  # DeCAF6 and DeCAF7, after their ReLU
    assert [name for name, _ in depth.groups][-2:] == ["classifier.4", "classifier.6"]


def test_a_norm_behind_the_last_stage_is_frozen_with_it() -> None:
    with weightless():
        depth = depth_of(create_model("preact_resnet110", num_classes=5))
    assert any("bn" in name or "norm" in name for name in depth.groups[-2][1][-5:])
    assert depth.groups[-1][1] == (depth.scoring,)


@pytest.mark.parametrize("name", list_models("*")[::4])
def test_every_parameter_that_an_image_meets_is_in_one_group(name: str) -> None:
    with weightless():
        net = create_model(name, num_classes=5)
    depth = depth_of(net)
    modules = [module for _, group in depth.groups for module in group]
    assert len(modules) == len(set(modules))
    held = {
        f"{module}.{own}" for module in modules for own, _ in net.get_submodule(module).named_parameters(recurse=False)
    }
    missed = {name for name, _ in net.named_parameters()} - held
    assert all(name.startswith(("aux", "AuxLogits")) for name in missed), missed


def test_a_stage_that_is_none_is_refused_with_the_nearest(net: Net) -> None:
    with pytest.raises(StriateError, match="unknown stage to freeze up to 'layer9'; did you mean 'layer"):
        depth_of(net).frozen("layer9")
