"""Names, order and shapes of parameters are torchvision's: `torchvision/*.json` has them as facts, with the source."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from striate.nets import Net, list_models

FACTS = sorted((Path(__file__).parent / "torchvision").glob("*.json"))


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_state_dict_is_torchvisions(path: Path, zoo: Callable[[str], Net]) -> None:
    facts = json.loads(path.read_text())
    net = zoo(facts["net"])
    assert [[name, list(tensor.shape)] for name, tensor in net.state_dict().items()] == facts["state"]
    assert sum(p.numel() for p in net.parameters()) == facts["parameters"]
    assert "pytorch/vision" in facts["source"]


def test_every_net_that_torchvision_has_is_compared() -> None:
    shared = {"alexnet"} | {f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")}
    shared |= {f"resnet{n}" for n in (18, 34, 50, 101, 152)} | {"wide_resnet50_2", "wide_resnet101_2"}
    shared |= {"googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"}
    shared |= {f"densenet{n}" for n in (121, 161, 169, 201)}
    assert {path.stem for path in FACTS} == shared
    assert shared < set(list_models())
