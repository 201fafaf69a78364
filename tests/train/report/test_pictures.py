"""Pictures in the page, decoded again."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from striate.train.report.pictures import MOST_FILTERS, MOST_SLICES, SIDE_PX, Picture, filter_rows, thumbnail

generator = np.random.default_rng(0)


def decoded(picture: Picture) -> Image.Image:
    head, data = picture.address.split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (1, 96, 3), (96, 1, 1)])
def test_small_images_keep_every_pixel_and_are_enlarged(shape: tuple[int, int, int]) -> None:
    image = generator.integers(0, 256, shape, dtype=np.uint8)
    picture = thumbnail(image)
    np.testing.assert_array_equal(np.asarray(decoded(picture)).reshape(shape), image)
    assert picture.pixelated
    assert max(picture.width, picture.height) == SIDE_PX


@pytest.mark.parametrize(("height", "width"), [(97, 97), (480, 640), (3000, 20), (5, 4000)])
@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_become_thumbnails_of_the_same_proportions(height: int, width: int, channels: int) -> None:
    picture = thumbnail(np.full((height, width, channels), 200, np.uint8))
    drawn = decoded(picture)
    assert drawn.size == (picture.width, picture.height)
    assert max(drawn.size) == SIDE_PX
    assert min(drawn.size) == max(1, round(SIDE_PX * min(height, width) / max(height, width)))
    assert not picture.pixelated
    assert np.asarray(drawn.convert("L")).min() == np.asarray(drawn.convert("L")).max() == 200


def test_a_thumbnail_looks_like_its_image() -> None:
    ramp = np.linspace(0, 255, 384).astype(np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], 128), axis=2).astype(np.uint8)
    drawn = np.asarray(decoded(thumbnail(image)).convert("RGB"), dtype=float)
    mean = image.reshape(96, 4, 96, 4, 3).mean(axis=(1, 3))
    assert np.abs(drawn - mean).mean() < 8  # 256 colours of its own for 2 × 256 shades: a smooth ramp is the worst case


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_of_images_are_images_with_zero_as_grey(channels: int) -> None:
    filters = np.zeros((2, channels, 3, 5))
    filters[0, :, 0, 0], filters[0, :, 2, 4] = 0.5, -0.5
    (row,) = filter_rows(filters)
    first, second = (np.asarray(decoded(tile)) for tile in row.tiles)
    assert first.shape[:2] == (3, 5)
    assert (first[0, 0] == 255).all()
    assert (first[2, 4] == 1).all()
    assert (first[1, 1] == 128).all()
    assert (second == 128).all()  # a dead filter is plain grey, not noise


def test_filters_of_many_channels_are_rows_of_slices() -> None:
    rows = filter_rows(generator.normal(size=(64, 100, 3, 3)))
    assert [row.name for row in rows] == [str(i) for i in range(MOST_SLICES)]
    assert {len(row.tiles) for row in rows} == {MOST_SLICES}
    assert [len(row.tiles) for row in filter_rows(np.ones((2, 2, 1, 1)))] == [2, 2]
    assert len(filter_rows(np.ones((500, 3, 1, 1)))[0].tiles) == MOST_FILTERS


def test_weights_that_are_not_finite_are_drawn_as_nothing() -> None:
    filters = np.array([np.nan, np.inf, -np.inf, 2.0]).reshape(1, 1, 2, 2)
    (tile,) = filter_rows(filters)[0].tiles
    np.testing.assert_array_equal(np.asarray(decoded(tile)), [[128, 128], [128, 255]])
