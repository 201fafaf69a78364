"""Samples from memory and from files."""

import io

import numpy as np
import pytest
from PIL import Image

from striate.data.badimage import BadImage
from striate.data.samples import ArraySamples, FileSamples
from striate.data.source import FolderSource

RGB = np.random.default_rng(0).integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)
GREY = RGB[..., :1].copy()


def test_array_samples_convert_channels_as_pillow_does():
    colour, grey = ArraySamples(RGB, [0, 1, 0, 1]), ArraySamples(GREY, [0, 1, 0, 1])
    for i in range(4):
        np.testing.assert_array_equal(colour.pixels(i, 3), RGB[i])
        np.testing.assert_array_equal(colour.pixels(i, 1)[..., 0], np.asarray(Image.fromarray(RGB[i]).convert("L")))
        np.testing.assert_array_equal(grey.pixels(i, 1), GREY[i])
        np.testing.assert_array_equal(grey.pixels(i, 3), np.asarray(Image.fromarray(GREY[i, ..., 0]).convert("RGB")))
        for samples, channels in ((colour, 1), (colour, 3), (grey, 1), (grey, 3)):
            assert samples.pixels(i, channels).flags.c_contiguous


def test_grey_made_rgb_and_back_is_unchanged():
    every = ArraySamples(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), [0])
    again = ArraySamples(every.pixels(0, 3)[None], [0])
    np.testing.assert_array_equal(again.pixels(0, 1), every.images[0])


def test_names_labels_and_subsets():
    samples = ArraySamples(RGB, [3, 1, 2, 0], ["a", "b", "c", "d"])
    part = samples.subset([2, 0])
    assert len(part) == 2
    assert part.labels.tolist() == [2, 3]
    assert part.labels.dtype == np.int64
    assert [part.name(i) for i in range(2)] == ["c", "a"]
    np.testing.assert_array_equal(part.images, RGB[[2, 0]])
    assert len(samples.subset([])) == 0
    assert ArraySamples(RGB, [0] * 4).name(3) == "3"


def test_labels_cannot_be_changed_from_outside():
    labels = np.zeros(4, np.int64)
    samples = ArraySamples(RGB, labels)
    labels[:] = 7
    assert samples.labels.tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        samples.labels[0] = 1


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (RGB.astype(float), [0] * 4, None, r"images must be uint8\[N, H, W, 1 or 3\], not float64\[4, 5, 7, 3\]"),
        (RGB[..., :2], [0] * 4, None, r"not uint8\[4, 5, 7, 2\]"),
        (RGB, [0] * 3, None, r"4 images were given labels of shape \[3\], not one each"),
        (RGB, [0] * 4, ["a"], "4 images were given 1 names"),
    ],
)
def test_what_does_not_fit_is_refused(images, labels, names, message):
    with pytest.raises(ValueError, match=message):
        ArraySamples(images, labels, names)


def test_file_samples(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(RGB[0]).save(tmp_path / "a" / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    samples = FileSamples(FolderSource(tmp_path), ["a/1.png", "2.png"], [1, 0])
    np.testing.assert_array_equal(samples.pixels(0, 3), RGB[0])
    assert samples.name(0) == str(tmp_path / "a" / "1.png")
    assert samples.key(0) == "a/1.png"
    assert Image.open(io.BytesIO(samples.read(0))).size == (7, 5)
    with pytest.raises(BadImage, match=r"2\.png is empty"):
        samples.pixels(1, 3)
    part = samples.subset(np.array([1]))
    assert part.entries == ("2.png",)
    assert part.labels.tolist() == [0]
