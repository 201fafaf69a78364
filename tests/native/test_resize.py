"""Resizing against Pillow, byte for byte: every filter, instruction set and kind of size."""

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from striate import _native

ISAS = ["reference", *_native.available_isas()]
FILTERS = ["box", "bilinear", "bicubic", "lanczos"]


def pillows(image, height, width, name):
    """uint8[height, width, C]: what Pillow makes of it; its bands are independent, so any C goes band by band."""
    if image.shape[2] != 3:
        bands = [pillows_image(Image.fromarray(band), height, width, name) for band in np.moveaxis(image, 2, 0).copy()]
        return np.stack(bands, axis=2)
    return pillows_image(Image.fromarray(image), height, width, name)


def pillows_image(image, height, width, name):
    """Pillow before 13 always went along the width first; it is led through the order that 13 takes."""
    resample = Image.Resampling[name.upper()]
    down_first = height < image.height and image.height - height > 2 * (image.width - width)
    if int(PIL.__version__.split(".")[0]) < 13 and down_first:
        image = image.resize((image.width, height), resample)
    return np.asarray(image.resize((width, height), resample))


def noise(rng, shape):
    """Extremes next to each other, which make the filters with negative lobes overshoot, or every value there is."""
    if rng.integers(2):
        return rng.choice(np.array([0, 255], np.uint8), shape)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def assert_like_pillow(image, height, width, name):
    wanted = pillows(image, height, width, name)
    before = image.copy()
    for isa in ISAS:
        out = _native.resize(image, height, width, name, isa=isa)
        assert out.shape == (height, width, image.shape[2])
        np.testing.assert_array_equal(out, wanted, err_msg=f"{isa} {name} {image.shape} to {(height, width)}")
    np.testing.assert_array_equal(image, before)


side = st.one_of(st.integers(1, 12), st.integers(13, 130))


@settings(deadline=None, max_examples=250)
@given(
    size=st.tuples(side, side),
    out=st.tuples(side, side),
    channels=st.sampled_from([1, 3, 3, 1, 2, 4]),
    name=st.sampled_from(FILTERS),
    seed=st.integers(0, 2**32),
)
def test_any_size_gives_pillows_bytes(size, out, channels, name, seed):
    assert_like_pillow(noise(np.random.default_rng(seed), (*size, channels)), *out, name)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "out"),
    [
        ((375, 500), (256, 341)),  # ImageNet's median photograph to its usual base
        ((375, 500), (224, 224)),
        ((375, 500), (375, 224)),  # one axis only
        ((375, 500), (224, 500)),
        ((28, 28), (32, 32)),
        ((1, 1), (40, 40)),
        ((40, 40), (1, 1)),
        ((1, 3000), (1, 7)),  # shrunk further than any register is wide
        ((3000, 1), (7, 1)),
        ((5, 900), (1000, 3)),
        ((100, 60), (50, 35)),  # the height loses exactly twice what the width loses: along the width first
        ((100, 60), (49, 35)),  # and one pixel more: along the height first
        ((800, 200), (224, 224)),
    ],
)
def test_sizes_of_interest(size, out, channels, name):
    rng = np.random.default_rng(0)
    assert_like_pillow(rng.integers(0, 256, (*size, channels), dtype=np.uint8), *out, name)
    assert_like_pillow(rng.choice(np.array([0, 255], np.uint8), (*size, channels)), *out, name)


def test_an_unchanged_size_is_a_copy(isa):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    out = _native.resize(image, 2, 4, "lanczos", isa=isa)
    np.testing.assert_array_equal(out, image)
    assert not np.shares_memory(out, image)


def test_a_flat_image_stays_flat(isa):
    for value in (0, 1, 127, 255):
        out = _native.resize(np.full((31, 47, 3), value, np.uint8), 17, 90, "bicubic", isa=isa)
        assert (out == value).all()


def test_bilinear_is_the_default():
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 1), dtype=np.uint8)
    np.testing.assert_array_equal(_native.resize(image, 4, 4), pillows(image, 4, 4, "bilinear"))
