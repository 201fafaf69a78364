"""Where output pixels come from: against formulas written here, against rendered dots, and the laws of the draws."""

import math

import numpy as np
import pytest
import torch

from striate import _native
from striate.augment import (
    Affine,
    Draws,
    HorizontalFlip,
    Lens,
    PadCrop,
    Perspective,
    Policy,
    RandomResizedCrop,
    RandomScaleCrop,
    TrivialAugment,
    VerticalFlip,
    matrix,
)
from striate.errors import StriateError

MANY = 20_000


def draws(policy: Policy, count: int = 1, size=(48, 64), out=(48, 64), *, seed=0, epoch=0) -> Draws:
    """Of sources whose frame is all of them."""
    sizes = np.broadcast_to(np.int32([size]), (count, 2))
    frames = np.tile(np.diag([size[1] / out[1], size[0] / out[0], 1.0]), (count, 1, 1))
    return policy.draws(seed, epoch, np.arange(count), sizes, out, frames)


def seen(geometry: np.ndarray, x: float, y: float) -> np.ndarray:
    """[B, 2]: where output (x, y) comes from."""
    points = geometry @ np.array([x, y, 1.0])
    return points[:, :2] / points[:, 2:]


# -------------------------------------------------------------------------------------------------- single matrices


@pytest.mark.parametrize("degrees", [0, 30, 90, -45, 180])
def test_a_turn_is_anticlockwise_on_the_screen(degrees):
    (geometry,) = draws(Policy((Affine(degrees=(degrees, degrees)),))).geometry
    # a point of the source at angle φ above the horizontal, seen from the centre, is seen at φ + degrees
    for phi in (0.0, 0.7, 2.0):
        offset = 10 * np.array([math.cos(phi), -math.sin(phi)])  # rows grow downwards
        turned = 10 * np.array([math.cos(phi + math.radians(degrees)), -math.sin(phi + math.radians(degrees))])
        assert seen(geometry[None], 32 + turned[0], 24 + turned[1])[0] == pytest.approx(np.array([32, 24]) + offset)


def test_scale_two_shows_the_middle_half():
    (geometry,) = draws(Policy((Affine(scale=(2, 2)),))).geometry
    assert seen(geometry[None], 0, 0)[0] == pytest.approx([16, 12])
    assert seen(geometry[None], 64, 48)[0] == pytest.approx([48, 36])


def test_stretch_keeps_the_area():
    (geometry,) = draws(Policy((Affine(stretch=(4, 4)),))).geometry
    assert np.linalg.det(geometry) == pytest.approx(1)
    assert seen(geometry[None], 64, 24)[0] == pytest.approx([32 + 16, 24])  # twice as wide: half as far


def test_shear_moves_rows_along_themselves():
    (geometry,) = draws(Policy((Affine(shear=(45, 45)),))).geometry
    assert seen(geometry[None], 32 + 10, 24 + 10)[0] == pytest.approx([32, 34])


@pytest.mark.parametrize("shears", [((-60, 0), (0, 60)), ((-44, 44), (-45, 45)), ((-89, 89), (0, 0))], ids=str)
def test_no_shears_mirror_the_picture_or_squash_it_to_a_line(shears):
    """Forwards, the area is 1 − tan a · tan b, which is nothing where a + b is 90 degrees and below it beyond."""
    areas = 1 / np.linalg.det(draws(Policy((Affine(shear=shears[0], shear_y=shears[1]),)), MANY).geometry)
    assert areas.min() > 0.03


def test_translation_stays_within_its_share_and_reaches_it():
    where = seen(draws(Policy((Affine(translate=(0.25, 0.5)),)), MANY).geometry, 32, 24) - [32, 24]
    assert abs(where[:, 0]).max() <= 16
    assert abs(where[:, 0]).max() > 15.9
    assert abs(where[:, 1]).max() <= 24
    assert abs(where[:, 1]).max() > 23.9
    assert where.mean(0) == pytest.approx([0, 0], abs=4.9 * 24 / math.sqrt(3 * MANY))


FAR_TILTS = (  # what a tilt may be followed by; each sends some corner of a few of these draws beyond the horizon
    (Perspective(), Affine(scale=(0.5, 1.0))),
    (Perspective(), Affine(scale=(0.2, 1.0))),
    (Perspective(), Affine(translate=(0.5, 0.5))),
    (Perspective(0.6), Affine(degrees=(-30, 30), scale=(0.7, 1.4))),
    (Perspective(0.99, 1.0),),
    (Perspective(0.99, 1.0), Lens((2.0, 4.0))),
    (Affine(scale=(1e-3, 1e-3)), Perspective(0.99, 1.0), TrivialAugment()),
    (Perspective(0.9, 1.0), Affine(scale=(1e-3, 1e-3), translate=(1.0, 1.0)), Lens((10.0, 10.0), (10.0, 10.0))),
)


@pytest.mark.parametrize("noises", FAR_TILTS, ids=str)
def test_no_tilt_sends_the_output_to_infinity(noises):
    """A run that draws a million of them would otherwise end at the first that does."""
    count, out = 3000, (12, 16)
    drawn = draws(Policy(noises), count, out, out)
    x, y = np.meshgrid([0.0, 8.0, 16.0], [0.0, 6.0, 12.0])
    reach = np.ones((count, 1, 1)) if drawn.lens is None else 1 + drawn.lens.sum(1)[:, None, None]
    points = np.stack([8 + reach * (x - 8), 6 + reach * (y - 6), np.ones((count, 3, 3))], -1)
    depth = np.einsum("bk,bijk->bij", drawn.geometry[:, 2], points)  # at corners, sides and centre, after the lens
    assert (depth >= depth[:, 1:2, 1:2] / 33).all()  # 1/32 of the centre's, with room for rounding
    assert (depth > 0).all()
    one, zero, image = np.ones(1, np.float32), np.zeros(1, np.float32), np.zeros((*out, 1), np.uint8)
    result = np.empty((count, 1, *out), np.float32)
    colour = None if drawn.colour is None else np.tile(np.eye(1, 2, dtype=np.float32), (count, 1, 1))
    _native.warp([image] * count, drawn.geometry, drawn.lens, colour, one, zero, zero, result, 2,
                 filter="bilinear", antialias=True, border="constant")  # fmt: skip


def test_a_tilt_is_drawn_back_by_itself_and_only_where_it_must_be():
    policy, tilt, frame = Policy((Perspective(), Affine(scale=(0.2, 1.0)))), Perspective(), (48, 64)
    together = draws(policy, 500).geometry
    sizes, one = np.int32([frame]), np.eye(3)[None]
    for i in range(40):
        assert np.array_equal(policy.draws(0, 0, np.array([i]), sizes, frame, one).geometry[0], together[i])
    plain = draws(Policy((tilt,)), 500).geometry @ draws(Policy((policy.noises[1],)), 500).geometry
    depth = plain[:, 2] @ np.array([(0, 0, 1), (64, 0, 1), (0, 48, 1), (64, 48, 1), (32, 24, 1.0)]).T
    sound = depth[:, :4].min(1) > depth[:, 4] / 31
    assert 0.9 < sound.mean() < 1
    assert np.allclose(together[sound], plain[sound])
    assert not np.isclose(together[~sound], plain[~sound]).all((1, 2)).any()


def test_perspective_puts_the_images_corners_where_it_drew_them():
    geometry = draws(Policy((Perspective(0.5, 1.0),)), 500).geometry
    forward = np.linalg.inv(geometry)
    for (x, y), (inward_x, inward_y) in {
        (0, 0): (1, 1),
        (64, 0): (-1, 1),
        (64, 48): (-1, -1),
        (0, 48): (1, -1),
    }.items():
        moved = (seen(forward, x, y) - [x, y]) * [inward_x, inward_y]
        assert moved.min() >= -1e-9
        assert (moved.max(0) <= [16 + 1e-9, 12 + 1e-9]).all()
        assert (moved.max(0) > [14, 10]).all()
    some = draws(Policy((Perspective(0.5, 0.3),)), MANY).geometry
    still = np.isclose(some, np.eye(3)).all((1, 2)).mean()
    assert still == pytest.approx(0.7, abs=4.9 * math.sqrt(0.21 / MANY))


def test_mirrors():
    assert seen(draws(Policy((HorizontalFlip(1.0),))).geometry, 0, 5)[0].tolist() == [64, 5]
    assert seen(draws(Policy((VerticalFlip(1.0),))).geometry, 0, 5)[0].tolist() == [0, 43]


def test_what_is_listed_first_happens_to_the_image_first():
    both = draws(Policy((HorizontalFlip(1.0), Affine(translate=(0, 0), degrees=(90, 90))))).geometry
    # the image's left middle goes to the right by the mirror, and then up by the quarter turn
    assert seen(both, 32, 24 - 32)[0] == pytest.approx([0, 24])


def test_a_homography_takes_four_points_to_four_points():
    rng = np.random.default_rng(0)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
    output, source = square + rng.uniform(-0.2, 0.2, (50, 4, 2)), square * 7 + rng.uniform(-1, 1, (50, 4, 2))
    found = matrix.homography(output, source)
    for corner in range(4):
        points = np.einsum("bij,bj->bi", found, np.concatenate([output[:, corner], np.ones((50, 1))], 1))
        assert points[:, :2] / points[:, 2:] == pytest.approx(source[:, corner])


STRAIGHT = {"scale crop": Policy((RandomScaleCrop(),)), "upside down, padded": Policy((VerticalFlip(1.0), PadCrop(4)))}
AFFINE = {
    "affine": Policy((Affine((-30, 30), (0.1, 0.1), (0.8, 1.2), (0.8, 1.2), (-10, 10)),)),
    "crop, mirror, turn": Policy((RandomResizedCrop((0.5, 1)), HorizontalFlip(), Affine((-15, 15)))),
}
BENT = {
    "perspective": Policy((Perspective(0.3, 1.0),)),
    "lens": Policy((Lens((-0.1, 0.2), (-0.05, 0.05)),)),
    "mirror, perspective, lens": Policy((HorizontalFlip(), Perspective(0.2, 1.0), Lens((-0.1, 0.2)))),
    "crop, turn, lens": Policy((RandomResizedCrop((0.5, 1)), Affine((-15, 15)), Lens((-0.1, 0.2)))),
}

GEOMETRIC = STRAIGHT | AFFINE | BENT


@pytest.mark.parametrize("policy", GEOMETRIC.values(), ids=GEOMETRIC)
def test_pixels_come_from_where_the_matrix_says_to_a_hundredth_of_a_pixel(policy):
    """Two channels that are their pixels' column and row: what they become says where each output pixel comes from."""
    size, out = (96, 120), (64, 80)
    row, column = np.mgrid[0 : size[0], 0 : size[1]]
    image = np.stack([2 * column, 2 * row, 0 * row], 2).astype(np.uint8)
    drawn = draws(policy, 20, size, out)
    images = np.empty((20, 3, *out), np.float32)
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    _native.warp(
        [image] * 20, drawn.geometry, drawn.lens, None, one, zero, zero, images, 1,
        filter="bilinear", antialias=False, border="edge",
    )  # fmt: skip
    checked = 0
    for i, picture in enumerate(images):
        for y in range(2, out[0], 7):
            for x in range(3, out[1], 7):
                place = _source(drawn, i, np.array([x + 0.5, y + 0.5]), out)
                if (place > 0.5).all() and (place < np.array(size[::-1]) - 0.5).all():  # between pixels' centres
                    assert picture[:2, y, x] / 2 + 0.5 == pytest.approx(place, abs=0.01)
                    checked += 1
    assert checked >= 500


@pytest.mark.parametrize("policy", AFFINE.values(), ids=AFFINE)
def test_a_dot_lands_where_the_matrix_says_to_a_hundredth_of_a_pixel(policy):
    """A soft dot's centre of mass, rendered by the native pass, against the inverse of the map."""
    out, width = (96, 128), 3.0
    y, x = np.mgrid[0:96, 0:128] + 0.5
    dot = 250 * np.exp(-((x - 70.25) ** 2 + (y - 43.5) ** 2) / (2 * width**2))
    image = np.rint(dot).astype(np.uint8)[..., None]
    at = np.array([(image[..., 0] * x).sum(), (image[..., 0] * y).sum()]) / image.sum()  # as rounded to bytes
    drawn = draws(policy, 40, (96, 128), out)
    images = torch.empty((40, 1, *out))
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    _native.warp(
        [image] * 40, drawn.geometry, drawn.lens, None, one, zero, zero, images.numpy(), 1,
        filter="bicubic", antialias=True, border="constant",
    )  # fmt: skip
    checked = 0
    for row, picture in enumerate(images[:, 0].double().numpy()):
        # minimise the distance to the dot over output positions: a fixed point of "where is it seen?"
        place = np.array([64.0, 48.0])
        for _ in range(60):
            place = place - np.linalg.solve(_jacobian(drawn, row, place, out), _source(drawn, row, place, out) - at)
        if not (24 < place[0] < 104 and 24 < place[1] < 72):
            continue  # partly out of sight
        near = picture.clip(0)
        centre = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        assert centre == pytest.approx(place, abs=0.01)
        checked += 1
    assert checked >= 10


def _source(drawn: Draws, row: int, place: np.ndarray, out: tuple[int, int]) -> np.ndarray:
    centre = np.array([out[1] / 2, out[0] / 2])
    d = place - centre
    if drawn.lens is not None:
        u = (d @ d) / (centre @ centre)
        d = d * (1 + drawn.lens[row, 0] * u + drawn.lens[row, 1] * u * u)
    point = drawn.geometry[row] @ [*(centre + d), 1.0]
    return point[:2] / point[2]


def _jacobian(drawn: Draws, row: int, place: np.ndarray, out: tuple[int, int]) -> np.ndarray:
    steps = np.eye(2) * 1e-4
    return np.stack(
        [(_source(drawn, row, place + s, out) - _source(drawn, row, place - s, out)) / 2e-4 for s in steps], 1
    )


# --------------------------------------------------------------------------------------------------- random crops


def rectangles(policy: Policy, count: int, size: tuple[int, int], out=(16, 16)) -> np.ndarray:
    """[B, 4]: top, left, height, width of what is seen."""
    geometry = draws(policy, count, size, out).geometry
    left_top, right_bottom = seen(geometry, 0, 0), seen(geometry, out[1], out[0])
    return np.concatenate([left_top[:, ::-1], (right_bottom - left_top)[:, ::-1]], 1)


def test_resized_crops_lie_on_whole_pixels_inside_the_image():
    found = rectangles(Policy((RandomResizedCrop(),)), MANY, (37, 53))
    assert found == pytest.approx(np.rint(found), abs=1e-9)
    top, left, height, width = np.rint(found).astype(int).T
    assert top.min() == left.min() == 0
    assert (top + height).max() == 37  # the last row and column are reached
    assert (left + width).max() == 53
    assert min(height.min(), width.min()) >= 1


def test_every_place_of_a_resized_crop_is_equally_likely(assert_uniform):
    policy = Policy((RandomResizedCrop((0.25, 0.25), (1, 1)),))  # 20 of 40 px a side: 21 places each way
    top, left, *_ = np.rint(rectangles(policy, MANY, (40, 40))).astype(int).T
    assert_uniform(top * 21 + left, 21 * 21)


def test_the_area_is_uniform_and_the_aspect_log_uniform():
    _, _, height, width = rectangles(Policy((RandomResizedCrop((0.1, 0.5), (0.5, 2)),)), MANY, (1000, 1000)).T
    area, aspect = height * width / 1e6, np.log2(width / height)
    for values, low, high in ((area, 0.1, 0.5), (aspect, -1, 1)):
        shares = np.sort((values - low) / (high - low))
        gap = np.abs(shares - (np.arange(MANY) + 0.5) / MANY).max()  # Kolmogorov and Smirnov; sides are whole pixels
        assert gap < 2.7 / math.sqrt(MANY) + 0.005


@pytest.mark.parametrize(
    ("size", "expected"), [((10, 100), (0, 43, 10, 13)), ((90, 6), (41, 0, 8, 6)), ((1, 1), (0, 0, 1, 1))]
)
def test_a_strip_in_which_nothing_fits_gives_its_middle(size, expected):
    found = rectangles(Policy((RandomResizedCrop((1.0, 1.0)),)), 50, size)
    assert np.rint(found).astype(int).tolist() == [list(expected)] * 50


def test_scale_crops_have_every_short_side_and_every_place(assert_uniform):
    top, left, height, width = rectangles(Policy((RandomScaleCrop((20, 23)),)), MANY, (60, 60)).T
    short = np.rint(16 * 60 / height).astype(int)
    assert_uniform(short - 20, 4)
    assert height == pytest.approx(width)
    for side in (20, 23):
        chosen = short == side
        places = np.rint(np.stack([top, left])[:, chosen] * side / 60).astype(int)
        assert_uniform(places[0] * (side - 15) + places[1], (side - 15) ** 2)


def test_scale_crops_of_an_oblong_slide_along_its_long_side():
    _, left, height, width = rectangles(Policy((RandomScaleCrop((16, 16)),)), MANY, (30, 60)).T
    assert height == pytest.approx(30)
    assert width == pytest.approx(30)
    assert left.min() == pytest.approx(0)
    assert left.max() == pytest.approx(30)


def test_a_scale_below_the_crop_is_one_clear_line():
    with pytest.raises(
        StriateError, match=r"short side of 12 px does not cover a crop of 16×16 px; begin short_side at 16"
    ):
        rectangles(Policy((RandomScaleCrop((12, 20)),)), 1, (30, 30))


@pytest.mark.parametrize("mirror", [HorizontalFlip(1.0), VerticalFlip(1.0)], ids=lambda noise: type(noise).__name__)
def test_a_crop_of_a_mirrored_image_reaches_all_of_it_and_nothing_else(mirror, assert_uniform):
    frame = np.array([[1, 0, 2], [0, 1, 1], [0, 0, 1.0]])  # the middle 16×16 of 19×21: half a pixel went up and left
    policy = Policy((mirror, PadCrop(0)))
    drawn = policy.draws(
        0, 0, np.arange(MANY), np.full((MANY, 2), (19, 21), np.int32), (16, 16), np.tile(frame, (MANY, 1, 1))
    )
    corners = np.stack([seen(drawn.geometry, *corner) for corner in ((0, 0), (16, 16))])
    left, top = corners.min(0).astype(int).T
    assert_uniform(top * 6 + left, 4 * 6)


def test_a_crop_of_a_chosen_rectangle_is_moved_by_its_padding_and_no_further(assert_uniform):
    policy = Policy((RandomResizedCrop((1.0, 1.0), (4.0, 4.0)), PadCrop(3)))
    sizes, frames = (
        np.full((MANY, 2), (16, 64), np.int32),
        np.tile(np.array([[1, 0, 24], [0, 1, 0], [0, 0, 1.0]]), (MANY, 1, 1)),
    )
    geometry = policy.draws(0, 0, np.arange(MANY), sizes, (16, 16), frames).geometry  # four source px for one across
    across, down = np.rint(geometry[:, 0, 2] / 4).astype(int), np.rint(geometry[:, 1, 2]).astype(int)
    assert_uniform((down + 3) * 7 + across + 3, 7 * 7)


# -------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Affine(degrees=(10, -10)), "Affine: degrees is (10, -10); give two numbers, the smaller first"),
        (lambda: Affine(shear=(-60, 40), shear_y=(-45, 50)),
         "Affine: shear (-60.0, 40.0) and shear_y (-45.0, 50.0) together reach 105 degrees, and at 90 the picture is a "
         "line; keep their sum within -89 to 89"),
        (lambda: Affine(shear=(45, 45), shear_y=(0, 45)),
         "Affine: shear (45.0, 45.0) and shear_y (0.0, 45.0) together reach 90 degrees, and at 90 the picture is a "
         "line; keep their sum within -89 to 89"),
        (lambda: Affine(scale=(0, 1)), "Affine: scale is (0, 1); "
                                       "give two numbers within 0.001 to 1000, the smaller first"),
        (lambda: Affine(translate=(0, 2)), "Affine: translate is (0, 2); give shares (across, down), each from 0 to 1"),
        (lambda: Perspective(1.0), "Perspective: distortion is 1.0; give a number from 0 to 0.99"),
        (lambda: Lens((-0.5, 0)), "Lens: k1 from -0.5 and k2 from 0 fold the picture over itself; "
                                  "keep 1 + 3 k1 r² + 5 k2 r⁴ above 0 for every r up to 1"),
        (lambda: RandomResizedCrop((0.5, 2)), "RandomResizedCrop: scale is (0.5, 2); "
                                              "give two numbers within 1e-06 to 1, the smaller first"),
        (lambda: RandomScaleCrop((9, 3)), "RandomScaleCrop: short_side is (9, 3); "
                                            "give two whole numbers of pixels, the smaller first"),
        (lambda: VerticalFlip(2), "VerticalFlip: p is 2; give a probability from 0 to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_clear_line(make, message):
    with pytest.raises(StriateError) as error:
        make()
    assert str(error.value) == message
