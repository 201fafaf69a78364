"""From image to tensor: sizes, the fit, and the whole path against Pillow and plain NumPy."""

import json
import threading

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from striate.data import ArraySamples, Preprocess, Samples
from striate.data.preprocess import LONGEST
from striate.errors import StriateError

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def plain(channels=3, size=(8, 8), **settings) -> Preprocess:
    return Preprocess(channels=channels, size=size, **{"mean": (0.0,) * channels, "std": (1.0,) * channels, **settings})


def picture(height, width, channels=3, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


class Listed(Samples):
    """Images of any sizes, in memory."""

    def __init__(self, images):
        self.images = images
        self.labels = np.zeros(len(images), np.int64)

    def pixels(self, i, channels):
        return self.images[i]

    def name(self, i):
        return str(i)

    key = name

    def subset(self, indices):
        return Listed([self.images[i] for i in indices])


# ------------------------------------------------------------------------------------------------------------ base


@pytest.mark.parametrize(
    ("image", "size", "expected"),
    [
        ((375, 500), (224, 224), (224, 299)),  # 500·224/375 = 298.67
        ((500, 375), (224, 224), (299, 224)),
        ((32, 32), (224, 224), (224, 224)),
        ((100, 200), (50, 25), (50, 100)),
        ((200, 100), (50, 100), (200, 100)),
        ((3, 7), (3, 7), (3, 7)),
        ((1, 1), (5, 9), (9, 9)),
        ((2, 3), (1, 1), (1, 2)),  # 1.5 rounds up
    ],
)
def test_crop_covers_the_window_and_keeps_the_aspect(image, size, expected):
    assert plain(size=size).base_size(*image) == expected
    assert plain(size=size).base(picture(*image)).shape == (*expected, 3)


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 300)] * 4))
def test_crop_never_falls_short_and_touches_on_one_side(sides):
    height, width, h, w = sides
    base_height, base_width = plain(size=(h, w)).base_size(height, width)
    assert base_height >= h
    assert base_width >= w
    assert base_height == h or base_width == w
    scale = max(h / height, w / width)
    assert abs(base_height - height * scale) <= 0.5 + 1e-9
    assert abs(base_width - width * scale) <= 0.5 + 1e-9


def test_squash_takes_the_window_itself():
    assert plain(size=(5, 9), resize="squash").base(picture(40, 13)).shape == (5, 9, 3)


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_an_image_of_the_right_size_is_its_own_base(resize):
    image = picture(8, 8)
    assert plain(resize=resize).base(image) is image
    wide = picture(8, 31)
    assert (plain(resize=resize).base(wide) is wide) == (resize == "crop")


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_base_resizes_as_pillow_does(filter, channels):
    image = picture(37, 61, channels)
    base = plain(channels, (12, 16), filter=filter).base(image)
    expected = Image.fromarray(image.squeeze()).resize((20, 12), FILTERS[filter])  # 61·12/37 = 19.8
    assert np.array_equal(base.squeeze(), np.asarray(expected))


@pytest.mark.parametrize(("resize", "base"), [("crop", (256, 341)), ("squash", (256, 300))])
def test_the_window_of_published_weights_is_the_middle_of_a_larger_image(resize, base):
    image = picture(375, 500)
    preprocess = plain(size=(224, 224), resize=resize, resize_size=(256, 256 if resize == "crop" else 300))
    resized = Image.fromarray(image).resize(base[::-1], Image.Resampling.BILINEAR)
    top, left = (256 - 224) // 2, (base[1] - 224) // 2
    cut = np.asarray(resized)[top : top + 224, left : left + 224]
    assert preprocess.base(image).shape[:2] == base
    assert np.abs(preprocess.tensor(image).numpy() - cut.transpose(2, 0, 1) / 255).max() <= 1 / 255 + 1e-6
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


def test_a_model_file_from_before_resize_size_is_read():
    settings = plain().to_dict()
    del settings["resize_size"]
    assert Preprocess.from_dict(settings) == plain()


def test_of_a_long_strip_only_the_middle_is_kept():
    strip = picture(2, 100_000, 1)
    base = plain(1, (8, 8)).base(strip)
    assert base.shape == (8, 8 * LONGEST, 1)
    middle = strip[:, 50_000 - LONGEST : 50_000 + LONGEST]
    assert np.array_equal(base, plain(1, (8, 8)).base(middle))
    assert plain(1, (8, 8)).base(strip.transpose(1, 0, 2)).shape == (8 * LONGEST, 8, 1)
    assert plain(1, (8, 8), resize="squash").base(strip).shape == (8, 8, 1)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8), (0, 8, 3), (8, 8, 4)])
def test_an_image_of_another_shape_is_refused(shape):
    with pytest.raises(StriateError, match=r"an image of shape \(.*\); expected \(H, W, 3\)"):
        plain().base(np.zeros(shape, np.uint8))


# ---------------------------------------------------------------------------------------------------------- tensor


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(["crop", "squash"]),
)
def test_tensor_against_pillow_and_numpy(height, width, channels, size, resize):
    assume(resize == "squash" or 1 / 7 < (height / size[0]) / (width / size[1]) < 7)  # longer ones lose their far ends
    image = picture(height, width, channels)
    mean, std = (0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels]
    preprocess = Preprocess(channels=channels, size=size, resize=resize, mean=mean, std=std)
    got = preprocess.tensor(image)
    assert got.dtype == torch.float32
    assert got.shape == (channels, *size)

    base = Image.fromarray(image[..., 0] if channels == 1 else image)
    if resize == "squash":
        base = base.resize(size[::-1], FILTERS["bilinear"])
    elif height * size[1] <= width * size[0]:
        base = base.resize((max(size[1], int(width * size[0] / height + 0.5)), size[0]), FILTERS["bilinear"])
    else:
        base = base.resize((size[1], max(size[0], int(height * size[1] / width + 0.5))), FILTERS["bilinear"])
    top, left = (base.height - size[0]) // 2, (base.width - size[1]) // 2
    window = np.asarray(base).reshape(base.height, base.width, channels)[top : top + size[0], left : left + size[1]]
    exact = (window / 255 - np.array(mean)) / np.array(std)
    # scale, shift, product and sum are each rounded to float32 once, none of them larger than 5 + 3 here
    assert np.abs(got.numpy() - exact.transpose(2, 0, 1)).max() <= 4 * np.finfo(np.float32).eps * 8


# ------------------------------------------------------------------------------------------------------------- fit


@pytest.mark.parametrize("channels", [1, 3])
def test_fit_is_numpys_mean_and_deviation(channels):
    images = np.random.default_rng(1).integers(0, 256, (101, 6, 5, channels), dtype=np.uint8)
    fitted = Preprocess.fit(ArraySamples(images, np.zeros(101)), channels, (6, 5))
    flat = images.reshape(-1, channels) / 255
    assert fitted.mean == pytest.approx(flat.mean(axis=0), rel=1e-14)
    assert fitted.std == pytest.approx(flat.std(axis=0), rel=1e-12)


def test_fit_looks_through_the_centre_window_of_the_base():
    images = [picture(h, w, 3, seed) for seed, (h, w) in enumerate([(9, 14), (30, 12), (8, 8), (16, 16)])]
    fitted = Preprocess.fit(Listed(images), 3, (8, 8))
    seen = torch.stack([plain().tensor(image) for image in images]).double()
    assert fitted.mean == pytest.approx(seen.mean((0, 2, 3)).tolist(), rel=1e-6)
    assert fitted.std == pytest.approx(seen.std((0, 2, 3), correction=0).tolist(), rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_fit_does_not_depend_on_threads_or_order(threads):
    images = np.random.default_rng(2).integers(0, 256, (333, 7, 7, 3), dtype=np.uint8)
    whole = Preprocess.fit(ArraySamples(images, np.zeros(333)), 3, (7, 7), threads=1)
    turned = Preprocess.fit(ArraySamples(images[::-1], np.zeros(333)), 3, (7, 7), threads=threads)
    assert turned == whole  # to the last bit


def test_fit_with_a_limit_takes_evenly_spread_images():
    images = np.repeat(np.arange(100, dtype=np.uint8), 4).reshape(100, 2, 2, 1)
    fitted = Preprocess.fit(ArraySamples(images, np.zeros(100)), 1, (2, 2), limit=4)
    assert fitted.mean[0] * 255 == pytest.approx(np.mean([0, 25, 50, 75]))
    everything = Preprocess.fit(ArraySamples(images, np.zeros(100)), 1, (2, 2), limit=1000)
    assert everything.mean[0] * 255 == pytest.approx(49.5)


def test_a_constant_channel_counts_as_one_grey_level_wide():
    images = np.zeros((5, 4, 4, 3), np.uint8)
    images[..., 1] = 200
    images[..., 2] = np.arange(80).reshape(5, 4, 4)
    fitted = Preprocess.fit(ArraySamples(images, np.zeros(5)), 3, (4, 4))
    assert fitted.std[:2] == (1 / 255, 1 / 255)
    assert fitted.std[2] == pytest.approx(np.arange(80).std() / 255)
    assert fitted.tensor(images[0])[:2].abs().max() <= 1e-4  # constant, so 0 up to the rounding of 200 · 1 − 200


def test_fit_to_nothing_is_one_clear_line():
    with pytest.raises(StriateError, match=r"no images to fit mean and deviation to; the training part is empty"):
        Preprocess.fit(Listed([]), 3, (8, 8))


def test_fit_leaves_no_thread_behind():
    before = threading.active_count()
    Preprocess.fit(Listed([picture(9, 9)] * 40), 3, (8, 8), threads=4)
    assert threading.active_count() == before


# -------------------------------------------------------------------------------------------------------- settings


def test_to_dict_and_back_through_json():
    preprocess = Preprocess(
        channels=3, size=(7, 9), resize="squash", filter="lanczos", mean=(0.1,) * 3, std=(1 / 3,) * 3
    )
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess
    assert hash(preprocess) == hash(Preprocess.from_dict(preprocess.to_dict()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 2}, r"channels is 2; give 1 \(grey\) or 3 \(RGB\)"),
        ({"size": [8]}, r"size is \[8\]; give \(height, width\) in whole pixels"),
        ({"size": [8.0, 8.0]}, r"size is \[8\.0, 8\.0\]; give \(height, width\) in whole pixels"),
        ({"size": [0, 8]}, r"size is \[0, 8\]; give \(height, width\) in whole pixels"),
        ({"size": 8}, r"size is 8; expected a list of numbers"),
        ({"resize": "croop"}, r"unknown resize 'croop'; did you mean 'crop'\?"),
        ({"filter": "nearest"}, r"unknown filter 'nearest'; choose from box, bilinear, bicubic, lanczos"),
        ({"mean": [0.5, 0.5]}, r"mean is \[0\.5, 0\.5\]; give 3 finite number\(s\), one per channel"),
        ({"mean": [0.5, 0.5, float("nan")]}, r"give 3 finite number\(s\)"),
        ({"mean": "0.5"}, r"mean is '0\.5'; expected a list of numbers"),
        ({"std": [0.5, 0.0, 0.5]}, r"std is \[0\.5, 0\.0, 0\.5\]; give 3 positive number\(s\), one per channel"),
        ({"std": [0.5, "a", 0.5]}, r"std is \[0\.5, 'a', 0\.5\]; expected a list of numbers"),
        ({"resize_size": [8]}, r"resize_size is \[8\]; give \(height, width\) in whole pixels"),
        ({"resize_size": 9}, r"resize_size is 9; expected a list of numbers"),
        ({"resize_size": [9, 7]}, r"resize_size \(9, 7\) is smaller than size \(8, 8\), which is cut from it"),
        ({"sise": [8, 8]}, r"unknown setting 'sise'; did you mean 'size'\?"),
    ],
)
def test_settings_that_are_wrong_are_one_clear_line(change, message):
    with pytest.raises(StriateError, match=r"^preprocess: .*" + message):
        Preprocess.from_dict({**plain().to_dict(), **change})


def test_what_a_notebook_counts_with_is_written_down_as_numbers():
    """NumPy's numbers, arrays and float32: a model file's card holds what Python counts with."""
    mean, std = np.array([0.5], np.float32), [np.float32(2)]
    preprocess = Preprocess(channels=np.int64(1), size=np.array([7, 9]), mean=mean, std=std)
    assert preprocess == Preprocess(channels=1, size=(7, 9), mean=(0.5,), std=(2.0,))
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (True, True)}, r"size is \(True, True\); give \(height, width\) in whole pixels"),
        ({"mean": None}, r"mean is None; give 3 finite number\(s\), one per channel"),
        ({"mean": ("a",) * 3}, r"mean is \('a', 'a', 'a'\); give 3 finite number\(s\)"),
        ({"std": (10**400,) * 3}, r"std is \(1000+…; give 3 positive number\(s\)"),
    ],
)
def test_values_that_are_none_are_one_clear_line(change, message):
    settings = {"channels": 3, "size": (8, 8), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    with pytest.raises(StriateError, match=f"^preprocess: {message}"):
        Preprocess(**{**settings, **change})


def test_settings_that_are_missing_are_named():
    with pytest.raises(
        StriateError, match=r"^preprocess: size, std missing; a model file states all of channels, size"
    ):
        Preprocess.from_dict({k: v for k, v in plain().to_dict().items() if k not in ("size", "std")})


def test_scale_and_shift_are_rounded_once():
    preprocess = plain(1, mean=(0.1307,), std=(0.3081,))
    assert preprocess.scale.tolist() == [float(np.float32(1 / (255 * 0.3081)))]
    assert preprocess.shift.tolist() == [float(np.float32(-0.1307 / 0.3081))]
    assert preprocess.scale.dtype == preprocess.shift.dtype == np.float32


def test_the_mean_colour_is_a_byte_even_where_the_mean_is_not():
    assert plain(mean=(0.1, 0.5, 1.2)).mean_colour.tolist() == [26, 128, 255]  # 25.5 and 127.5 round to even
