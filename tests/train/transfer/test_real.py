"""Real trained nets on real photographs: from Caffe, from CIFAR, from ImageNet, one way for all."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from striate.data import open as open_data
from striate.nets.caffe.convert import convert
from striate.nets.trained import load_trained
from striate.nets.weights import save_model
from striate.train.progress import Silent
from striate.train.settings import Settings
from striate.train.transfer.amount import some_of_each
from striate.train.transfer.cache import FeatureCache
from striate.train.transfer.plans import choose
from striate.train.transfer.project import Project
from striate.train.transfer.source import open_source

pytestmark = pytest.mark.shared


@pytest.fixture
def weights(shared_data: Path, tmp_path: Path) -> dict[str, tuple[str, int]]:
    """By name: what `--from` takes, and px."""
    caffe = shared_data / "caffe-weights-lenet-cifar" / "examples"
    for name, net, numbers, mean in (
        ("quick", "cifar10/cifar10_quick.prototxt", "cifar10/cifar10_quick_iter_5000.caffemodel", "mean.binaryproto"),
        ("lenet", "mnist/lenet.prototxt", "mnist/lenet_iter_10000.caffemodel", None),
    ):
        averaged = None if mean is None else caffe / "cifar10" / mean
        made = convert(caffe / net, caffe / numbers, mean=averaged, bgr=False if mean else None)
        save_model(tmp_path / f"{name}.safetensors", made.net, made.card)
    published = shared_data / "repackaged-imagenet" / "squeezenet1_1-torchvision-fp16rounded.pth"
    return {
        "quick": (str(tmp_path / "quick.safetensors"), 32),
        "lenet": (str(tmp_path / "lenet.safetensors"), 28),
        "resnet20": (str(shared_data / "resnet-cifar10-th" / "pretrained_models" / "resnet20-12fca82f.th"), 32),
        "squeezenet1_1": (str(published), 64),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "data", "least"),
    [
        ("quick", "sign-digits/Dataset", 0.4),
        ("lenet", "sign-digits/Dataset", 0.4),
        ("resnet20", "sign-digits/Dataset", 0.6),
        ("squeezenet1_1", "ants-bees", 0.55),
    ],
)
def test_a_probe_and_a_plan_that_trains_of_every_kind_of_source(
    source: str, data: str, least: float, weights: dict[str, tuple[str, int]], shared_data: Path, tmp_path: Path
) -> None:
    model, size = weights[source]
    opened = open_data(shared_data / data, check=False)
    test = opened.test or opened.val
    assert test is not None
    few = opened.train.subset(some_of_each(opened.train.labels, 20, seed=0))
    asked = test.subset(some_of_each(test.labels, 15, seed=0))
    small = dataclasses.replace(opened, train=few, val=None, test=asked)
    settings = Settings(
        data=str(shared_data / data), size=size, batch_size=20, precision="fp32", channels_last=False, threads=1,
        workers=0, output=str(tmp_path / "runs"), device="cpu",
    )  # fmt: skip
    found = open_source(model)
    project = Project.of(found, small, settings, FeatureCache(tmp_path / "features", found.net), steps=3)
    evidence = project.evidence()
    assert choose(evidence).plan in ("probe", "few", "more")
    assert all(np.isfinite([place.kappa, place.accuracy, place.apart]).all() for place in evidence.places)
    probe = project.carry_out("probe", Silent())
    assert probe.accuracy > least
    net, card = load_trained(probe.folder.model)
    assert (net.spec.name, len(card.classes)) == ("cut", len(opened.classes))
    assert project.carry_out("few", Silent()).accuracy > least - 0.2
