"""What is fitted to the training part: the values of the single fits, and how often an image is decoded for them."""

from collections import Counter

import numpy as np
import pytest

from striate.data import ArraySamples, Dataset, Preprocess, fit_pca
from striate.train import Settings
from striate.train.colours import Colours


@pytest.fixture
def data() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (50, 13, 9, 3), dtype=np.uint8)
    samples = ArraySamples(images, np.arange(50) % 2)
    return Dataset(name="toy", spec="toy", classes=("a", "b"), train=samples, val=None, test=None, mirror=True)


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_one_pass_gives_what_two_would(data, resize, monkeypatch):
    asked: Counter[int] = Counter()
    pixels = ArraySamples.pixels

    def counted(self, i, channels):
        asked[i] += 1
        return pixels(self, i, channels)

    expected = Preprocess.fit(data.train, 3, (6, 6), resize=resize)
    values, vectors = fit_pca(data.train, 3)
    monkeypatch.setattr(ArraySamples, "pixels", counted)
    colours = Colours(Settings(size=6, channels=3, resize=resize), data)
    pca = colours.pca()
    assert colours.preprocess() == expected
    assert colours.pca() == pca
    assert pca.values == tuple(values.tolist())
    assert pca.vectors == tuple(map(tuple, vectors.tolist()))
    assert asked == dict.fromkeys(range(50), 1)


def test_without_principal_colours_there_is_the_one_fit_alone(data):
    colours = Colours(Settings(size=6, channels=3), data)
    assert colours.preprocess() == Preprocess.fit(data.train, 3, (6, 6))
