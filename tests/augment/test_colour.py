"""Colour as one affine map: against Pillow, against algebra, and PCA against a covariance that is known."""

import json
import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from striate.augment import (
    ColorJitter,
    PadCrop,
    PCAColor,
    Policy,
    RandomGrayscale,
    colour,
    policy_from_dict,
    policy_to_dict,
)
from striate.data import ArraySamples, fit_pca
from striate.errors import StriateError

MANY = 20_000


def drawn_colours(policy: Policy, count: int = MANY, channels: int = 3) -> np.ndarray:
    sizes = np.full((count, 2), 8, np.int32)
    frames = np.tile(np.eye(3), (count, 1, 1))
    found = policy.draws(0, 0, np.arange(count), sizes, (8, 8), frames, channels=channels).colour
    assert found is not None
    return found


def applied(matrix: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """[..., C] by one [C, C + 1], clipped."""
    return np.clip(pixels @ matrix[:, :-1].T + matrix[:, -1], 0, 255)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (20, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_brightness_and_saturation_are_pillows(photo, factor):
    picture = Image.fromarray(photo)
    for made, enhancer in ((colour.brightness, ImageEnhance.Brightness), (colour.saturation, ImageEnhance.Color)):
        ours = applied(made(np.array([factor]), 3)[0], photo.astype(float))
        theirs = np.asarray(enhancer(picture).enhance(factor), float)
        assert abs(ours - theirs).max() < 2  # Pillow rounds the grey, and truncates


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_contrast_is_pillows_where_the_image_has_the_training_sets_mean(photo, factor):
    mean = photo.reshape(-1, 3).mean(0)
    ours = applied(colour.contrast(np.array([factor]), mean)[0], photo.astype(float))
    theirs = np.asarray(ImageEnhance.Contrast(Image.fromarray(photo)).enhance(factor), float)
    assert abs(ours - theirs).max() < 2


def test_hue_turns_and_keeps_luma():
    turns = np.linspace(-0.5, 0.5, 11)
    maps = colour.hue(turns, 3)
    assert colour.LUMA @ maps[:, :, :3] == pytest.approx(np.tile(colour.LUMA, (11, 1)), abs=1e-3)
    assert maps[:, :, :3] @ np.ones(3) == pytest.approx(np.ones((11, 3)), abs=1e-3)  # greys stay
    assert maps[0, :, :3] == pytest.approx(maps[-1, :, :3])  # half a turn either way
    a, b = colour.hue(np.array([0.1, 0.2]), 3)[:, :, :3]
    assert a @ b == pytest.approx(colour.hue(np.array([0.3]), 3)[0, :, :3])


def test_grey_images_have_no_saturation_and_no_hue():
    for made in (colour.saturation, colour.hue):
        assert made(np.array([0.3]), 1)[0].tolist() == [[1, 0]]


def test_jitter_is_the_product_of_its_parts_in_the_order_it_names():
    policy = Policy((ColorJitter(0.4, 0.3, 0.5, 0.1),), mean=(0.5, 0.4, 0.3))
    values = np.random.default_rng(0).uniform(100, 150, (7, 3))
    (matrix,) = drawn_colours(policy, 1)
    each = [
        drawn_colours(Policy((ColorJitter(**{name: reach}),), mean=(0.5, 0.4, 0.3)), 1)[0]
        for name, reach in (("brightness", 0.4), ("contrast", 0.3), ("saturation", 0.5), ("hue", 0.1))
    ]
    expected = values
    for one in each:
        expected = expected @ one[:, :3].T + one[:, 3]
    assert values @ matrix[:, :3].T + matrix[:, 3] == pytest.approx(expected, rel=1e-5)


def test_factors_are_uniform_and_never_negative():
    factors = drawn_colours(Policy((ColorJitter(brightness=1.5),)))[:, 0, 0]
    assert factors.min() > 0
    assert factors.max() < 2.5
    assert factors.mean() == pytest.approx(1.25, abs=4.9 * 2.5 / math.sqrt(12 * MANY))


@pytest.mark.parametrize("number", [10**400, float("inf"), "1", True])
def test_a_factor_that_is_no_number_is_one_clear_line(number):
    with pytest.raises(StriateError, match=r"^ColorJitter: brightness is .{1,81}; give a number 0 or more$"):
        ColorJitter(number)


def test_numpys_numbers_are_written_down():
    policy = Policy((PadCrop(np.int64(2)), ColorJitter(np.float32(0.5))), fill=np.uint8(7))
    table = json.loads(json.dumps(policy_to_dict(policy)))
    assert policy_from_dict(table) == Policy((PadCrop(2), ColorJitter(0.5)), fill=7)


def test_greyscale_as_often_as_asked():
    grey = np.isclose(drawn_colours(Policy((RandomGrayscale(0.2),)))[:, 0, 1], 0.587).mean()
    assert grey == pytest.approx(0.2, abs=4.9 * math.sqrt(0.16 / MANY))


# -------------------------------------------------------------------------------------------------------------- PCA


def test_pca_of_a_known_covariance():
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    spread = np.array([40.0, 15.0, 5.0])
    pixels = 128 + (rng.normal(size=(40_000, 3)) * spread) @ turn.T
    samples = ArraySamples(np.rint(pixels).clip(0, 255).astype(np.uint8).reshape(10, 50, 80, 3), np.zeros(10))
    values, vectors = fit_pca(samples, 3, threads=3)
    assert values == pytest.approx((spread / 255) ** 2, rel=0.03)
    assert np.abs(vectors @ turn) == pytest.approx(np.eye(3), abs=0.02)
    exact = np.cov(samples.images.reshape(-1, 3).T / 255, bias=True)
    assert (vectors.T * values) @ vectors == pytest.approx(exact, rel=1e-9)


def test_pca_does_not_depend_on_threads_and_says_when_there_is_nothing():
    samples = ArraySamples(np.random.default_rng(0).integers(0, 256, (40, 5, 7, 3)).astype(np.uint8), np.zeros(40))
    one, four = fit_pca(samples, 3, threads=1), fit_pca(samples, 3, threads=4)
    assert all(np.array_equal(a, b) for a, b in zip(one, four, strict=True))
    with pytest.raises(StriateError, match="no images to fit to; the training part is empty"):
        fit_pca(samples.subset([]), 3)


def test_pca_adds_one_colour_an_image_whose_covariance_is_sigma_squared_lambda_squared():
    values, vectors = (0.2, 0.05, 0.01), ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
    maps = drawn_colours(Policy((PCAColor(values, vectors, 0.1),)))
    assert np.array_equal(maps[:, :, :3], np.tile(np.eye(3, dtype=np.float32), (MANY, 1, 1)))  # an offset, nothing else
    along = maps[:, :, 3] @ np.array(vectors).T / 255
    assert along.std(0) == pytest.approx(0.1 * np.array(values), rel=4.9 / math.sqrt(2 * MANY))
    assert along.mean(0) == pytest.approx(np.zeros(3), abs=4.9 * 0.02 / math.sqrt(MANY))
    assert np.corrcoef(along.T) == pytest.approx(np.eye(3), abs=4.9 / math.sqrt(MANY))


@pytest.mark.parametrize(
    ("values", "vectors", "message"),
    [
        ((1.0, 2.0), ((1, 0), (0, 1)), "PCAColor: 2 eigenvalues with 2 eigenvectors; give as many of each as an image "
                                       "has channels, all finite"),
        ((math.nan,), ((1,),), "PCAColor: values is (nan,); give a list of finite numbers"),
    ],
)  # fmt: skip
def test_a_pca_that_is_none(values, vectors, message):
    with pytest.raises(StriateError) as error:
        PCAColor(values, vectors)
    assert str(error.value) == message


def test_a_pca_of_other_channels():
    with pytest.raises(StriateError, match=r"fitted to images of 1 channel\(s\), drawn for 3; fit it to these data"):
        drawn_colours(Policy((PCAColor((1.0,), ((1.0,),)),)), 1)
