"""A small net with every kind of layer that freezing is about, and small sets of images that it can learn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from striate.data import ArraySamples, Dataset, Preprocess
from striate.nets import Net, create_model
from striate.nets.weights import ModelCard, save_model
from striate.train.settings import Settings
from striate.train.transfer.cache import FeatureCache
from striate.train.transfer.project import Project
from striate.train.transfer.source import Source

PREPROCESS = Preprocess(channels=3, size=(16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
CLASSES = ("dark", "mixed", "light")


def some_images(per_class: int, seed: int = 0) -> ArraySamples:
    """Noise around another grey for each class: what any net can tell apart."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(CLASSES)), per_class)
    grey = 70 + 60 * labels[:, None, None, None]
    return ArraySamples(np.clip(draw.normal(grey, 25, (len(labels), 16, 16, 3)), 0, 255).astype(np.uint8), labels)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return create_model("resnet20", num_classes=4, input_size=(16, 16)).eval()


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        net="resnet20",
        classes=("a", "b", "c", "d"),
        in_chans=3,
        input_size=(16, 16),
        preprocess=PREPROCESS.to_dict(),
    )


@pytest.fixture
def source(net: Net, card: ModelCard, tmp_path: Path) -> Source:
    path = tmp_path / "source.safetensors"
    save_model(path, net, card)
    return Source(net=net, card=card, name=str(path), file=path)


@pytest.fixture
def data() -> Dataset:
    return Dataset(
        name="greys",
        spec="greys",
        classes=CLASSES,
        train=some_images(8),
        val=some_images(3, seed=1),
        test=some_images(6, seed=2),
        mirror=True,
    )


@pytest.fixture
def project(source: Source, data: Dataset, tmp_path: Path) -> Callable[..., Project]:
    def made(**changes: object) -> Project:
        settings = Settings(
            data="greys", batch_size=8, precision="fp32", channels_last=False, threads=1, workers=0,
            output=str(tmp_path / "runs"), device="cpu",
        )  # fmt: skip
        cache = FeatureCache(tmp_path / "features", source.net)
        return Project.of(source, data, settings, cache, steps=8, **changes)  # type: ignore[arg-type]  # each test's own

    return made
