"""The frame header, against what Pillow reads from the same file."""

import io

import pytest
from PIL import Image

from striate.data.jpeg import read_frame


def encoded(mode="RGB", size=(33, 17), **options):
    file = io.BytesIO()
    Image.new(mode, size).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
@pytest.mark.parametrize("progressive", [False, True])
def test_size_precision_and_components(mode, components, progressive):
    frame = read_frame(encoded(mode, progressive=progressive))
    assert (frame.width, frame.height, frame.precision, frame.components) == (33, 17, 8, components)
    assert not frame.may_be_turned


def test_exif_is_seen():
    exif = Image.Exif()
    exif[274] = 6
    assert read_frame(encoded(exif=exif)).may_be_turned


def test_fill_bytes_before_a_marker_are_passed_over():
    data = encoded()
    at = data.index(b"\xff\xc0")
    assert read_frame(data[:at] + b"\xff\xff\xff" + data[at:]) == read_frame(data)


def test_segments_that_are_out_of_order_are_left_to_pillow():
    data = encoded()
    at = data.index(b"\xff\xc0")
    for broken in (
        data[:at],
        data[:at] + b"stray" + data[at:],
        data[: at + 6],
        b"\xff\xd8",
        b"",
        b"\xff\xd8\xff\xd9\0\0",
    ):
        assert read_frame(broken) is None


def test_a_thumbnail_inside_exif_is_not_the_picture():
    exif = Image.Exif()
    exif[274] = 1
    thumbnail = encoded(size=(8, 8))
    block = exif.tobytes() + thumbnail
    assert (read_frame(encoded(exif=block)).width, read_frame(encoded(exif=block)).height) == (33, 17)
