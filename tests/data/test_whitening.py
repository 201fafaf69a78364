"""Mean image and whitening: what they are by definition, and the same images for training, evaluation, prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import striate
from striate.data import ArraySamples, Loader, Preprocess
from striate.data.whitening import KINDS, Whitening
from striate.errors import StriateError
from striate.evaluate.members import member
from striate.nets.weights import read_card


def _samples(count: int = 600, side: int = 6, channels: int = 1) -> ArraySamples:
    """Images whose neighbours are alike."""
    noise = np.random.default_rng(0).normal(size=(count, side + 2, side + 2, channels))
    smooth = sum(noise[:, i : i + side, j : j + side] for i in range(3) for j in range(3)) / 3
    return ArraySamples(np.clip(128 + 40 * smooth, 0, 255).astype(np.uint8), np.arange(count) % 3)


def _plain(samples: ArraySamples, side: int = 6, channels: int = 1) -> Preprocess:
    return Preprocess.fit(samples, channels, (side, side))


def _all(samples: ArraySamples, preprocess: Preprocess) -> torch.Tensor:
    ((images, _, _),) = Loader(samples, preprocess, batch_size=len(samples)).epoch(0)
    return images.flatten(1).double()


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_the_covariance_of_what_was_whitened_is_the_identity(kind: str) -> None:
    samples = _samples()
    preprocess = _plain(samples)
    whitening = Whitening.fit(kind, samples, preprocess, epsilon=0.0)  # type: ignore[arg-type]
    rows = whitening.apply(_all(samples, preprocess).float().view(-1, 1, 6, 6)).flatten(1).double()
    covariance = rows.mT @ rows / len(rows)
    torch.testing.assert_close(covariance, torch.eye(36, dtype=torch.float64), atol=1e-3, rtol=0)
    assert float(rows.mean(0).abs().max()) < 1e-4


def test_epsilon_shrinks_each_direction_by_its_share() -> None:
    samples = _samples()
    preprocess = _plain(samples)
    before = torch.linalg.eigvalsh(torch.cov(_all(samples, preprocess).mT, correction=0))
    whitening = Whitening.fit("pca", samples, preprocess, epsilon=0.5)
    after = (
        whitening.apply(_all(samples, preprocess).float().view(-1, 1, 6, 6)).flatten(1).double().var(0, correction=0)
    )
    torch.testing.assert_close(after, (before / (before + 0.5)).flip(0), atol=1e-3, rtol=0)


def test_zca_is_symmetric_and_keeps_images_in_place() -> None:
    samples = _samples()
    whitening = Whitening.fit("zca", samples, _plain(samples))
    assert whitening.matrix is not None
    np.testing.assert_allclose(whitening.matrix, whitening.matrix.T, atol=1e-5)
    assert (np.abs(whitening.matrix).argmax(1) == np.arange(36)).all()  # each pixel is most of what it was


def test_the_mean_image_is_the_mean_of_every_pixel() -> None:
    samples = _samples(channels=3)
    preprocess = _plain(samples, channels=3)
    whitening = Whitening.fit("mean-image", samples, preprocess)
    expected = samples.images.astype(np.float64).mean(0) / 255
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    np.testing.assert_allclose(whitening.mean.reshape(3, 6, 6), ((expected - mean) / std).transpose(2, 0, 1), atol=1e-5)
    images = whitening.apply(torch.from_numpy(samples.images).permute(0, 3, 1, 2).float())
    assert images.shape == (600, 3, 6, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_as_json(kind: str) -> None:
    samples = _samples()
    fitted = _plain(samples)
    preprocess = Preprocess.from_dict(
        json.loads(json.dumps({**fitted.to_dict(), "whitening": Whitening.fit(kind, samples, fitted).to_dict()}))  # type: ignore[arg-type]
    )
    assert preprocess.whitening == Whitening.fit(kind, samples, fitted)  # type: ignore[arg-type]
    assert Preprocess.from_dict(preprocess.to_dict()) == preprocess
    assert "whitening" not in fitted.to_dict()  # an older striate reads it as before
    batch = next(Loader(samples, preprocess, batch_size=4).epoch(0)).images
    one = torch.stack([preprocess.tensor(samples.pixels(i, 1)) for i in range(4)])
    torch.testing.assert_close(batch, one, atol=1e-5, rtol=1e-5)


def test_refusals() -> None:
    samples = _samples()
    preprocess = _plain(samples)
    with pytest.raises(StriateError, match="unknown whitening 'zcaa'; did you mean 'zca'"):
        Whitening.fit("zcaa", samples, preprocess)  # type: ignore[arg-type]
    large = Preprocess(channels=3, size=(224, 224), mean=(0.5,) * 3, std=(0.25,) * 3)
    with pytest.raises(
        StriateError, match=r"needs a matrix of 150528×150528; use images of at most 32×32 \(--size 32\)"
    ):
        Whitening.fit("zca", samples, large)
    whitening = Whitening.fit("mean-image", samples, preprocess)
    with pytest.raises(StriateError, match="was fitted to 1×6×6 images, and these are 1×8×8"):
        whitening.apply(torch.zeros(1, 1, 8, 8))
    with pytest.raises(StriateError, match="the whitening cannot be read"):
        Whitening.from_dict({"kind": "zca", "shape": [1, 2, 2], "mean": "?"})


@pytest.mark.parametrize("kind", ["mean-image", "zca"])
def test_train_evaluate_and_predict_see_the_same(kind: str, tmp_path: Path) -> None:
    """Digits: what the model file says prepares the very tensors that training saw, and its accuracy is the run's."""
    run = striate.fit(
        "digits", model="two_layer", size=8, preprocess=kind, init="he", epochs=4, lr=0.1, label_smoothing=0.0,
        output=str(tmp_path), verbose=False, precision="fp32", channels_last=False, threads=1, workers=1,
    )  # fmt: skip
    card = read_card(run.folder.model)
    assert card.preprocess["whitening"]["kind"] == kind
    asked, _ = member(run.folder.model)
    assert asked.preprocess.whitening is not None
    measured = run.evaluate()
    assert measured.metrics.accuracy > 0.9
    end = json.loads((run.path / "log.jsonl").read_text().strip().splitlines()[-1])
    assert measured.metrics.accuracy == pytest.approx(end["accuracy"], abs=1e-9)
