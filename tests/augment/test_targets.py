"""Points, boxes and masks go where the pixels go."""

import math

import numpy as np
import pytest
import torch

from striate import _native
from striate.augment import Affine, Draws, HorizontalFlip, Lens, Perspective, Policy, RandomResizedCrop
from striate.augment.targets import warp_boxes, warp_masks, warp_points
from striate.errors import StriateError

OUT = (60, 80)


def draws(policy: Policy, count: int = 20) -> Draws:
    sizes = np.full((count, 2), 0, np.int32) + np.int32([90, 120])
    frames = np.tile(np.diag([1.5, 1.5, 1.0]), (count, 1, 1))
    return policy.draws(0, 0, np.arange(count), sizes, OUT, frames)


POLICIES = {
    "flip": (HorizontalFlip(1.0),),
    "crop and turn": (RandomResizedCrop((0.5, 1)), Affine((-40, 40), shear=(-10, 10))),
    "perspective": (Perspective(0.4, 1.0),),
    "lens": (Lens((-0.2, 0.4), (-0.05, 0.05)),),
    "all": (RandomResizedCrop((0.5, 1)), HorizontalFlip(), Perspective(0.3, 1.0), Lens((-0.15, 0.2))),
}


def back(drawn: Draws, row: int, points: np.ndarray) -> np.ndarray:
    """Output to source, by the definition."""
    centre = np.array([OUT[1] / 2, OUT[0] / 2])
    d = points - centre
    if drawn.lens is not None:
        u = (d**2).sum(1, keepdims=True) / (centre**2).sum()
        d = d * (1 + drawn.lens[row, 0] * u + drawn.lens[row, 1] * u * u)
    mapped = np.concatenate([centre + d, np.ones((len(d), 1))], 1) @ drawn.geometry[row].T
    return mapped[:, :2] / mapped[:, 2:]


@pytest.mark.parametrize("name", POLICIES)
def test_points_are_the_inverse_of_the_map(name):
    drawn = draws(Policy(POLICIES[name]))
    points = np.random.default_rng(0).uniform((0, 0), (OUT[1], OUT[0]), (50, 2))
    for row in range(20):
        assert warp_points(back(drawn, row, points), drawn, row, OUT) == pytest.approx(points, abs=1e-8)


@pytest.mark.parametrize("name", POLICIES)
def test_a_box_holds_the_pixels_of_its_mask(name):
    drawn = draws(Policy(POLICIES[name]))
    mask = np.zeros((90, 120), np.uint8)
    mask[30:55, 40:80] = 7
    masks = warp_masks([mask] * 20, drawn, OUT)
    assert set(np.unique(masks)) <= {0, 7}
    for row in range(20):
        boxes, visible = warp_boxes(np.array([[40, 30, 80, 55]]), drawn, row, OUT)
        y, x = np.nonzero(masks[row])
        left, top, right, bottom = boxes[0]
        if not len(y):
            assert visible[0] < 0.1
            continue
        assert left - 1 <= x.min()
        assert top - 1 <= y.min()
        assert x.max() + 1 <= right + 1
        assert y.max() + 1 <= bottom + 1
        assert abs(left - x.min()) + abs(right - x.max() - 1) + abs(top - y.min()) + abs(bottom - y.max() - 1) < 6


def test_visibility_is_the_share_inside():
    shift = np.array([[[1.0, 0, 20], [0, 1, 0], [0, 0, 1]]])  # the output begins at source column 20
    boxes, visible = warp_boxes(
        np.array([[10, 10, 30, 20], [0, 0, 15, 10], [30, 5, 40, 9]]), Draws(shift, None, None, ()), 0, OUT
    )
    assert visible.tolist() == [0.5, 0.0, 1.0]
    assert boxes.tolist() == [[0, 10, 10, 20], [0, 0, 0, 10], [10, 5, 20, 9]]


def test_a_second_image_goes_through_the_same_map():
    drawn = draws(Policy(POLICIES["all"]), 4)
    y, x = np.mgrid[0:90, 0:120]
    picture = np.stack([x, y, 0 * x], -1).astype(np.uint8)
    images = torch.empty((4, 3, *OUT))
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    _native.warp([picture] * 4, drawn.geometry, drawn.lens, None, one, zero, zero, images.numpy(), 1,
                 filter="bilinear", antialias=False, border="edge")  # fmt: skip
    points = np.array([[40.5, 30.5], [20.5, 50.5]])  # centres of output pixels
    for row in range(4):
        for place, source in zip(points, back(drawn, row, points), strict=True):
            if 2 < source[0] < 118 and 2 < source[1] < 88:
                shown = images[row, :2, int(place[1]), int(place[0])].numpy()
                assert shown == pytest.approx(source - 0.5, abs=0.02)


@pytest.mark.parametrize("box", [(5, 0, 4, 1), (0, 5, 1, 4)])
def test_a_box_inside_out_is_one_clear_line(box):
    with pytest.raises(StriateError, match=r"warp_boxes: box 0 is .*; expected left ≤ right and top ≤ bottom"):
        warp_boxes(np.array([box]), draws(Policy()), 0, OUT)


def test_a_point_on_the_horizon_is_one_clear_line():
    tilted = Draws(np.array([[[1.0, 0, 0], [0, 1, 0], [0.01, 0, 1]]]), None, None, ())
    with pytest.raises(StriateError, match="lies on the map's horizon"):
        warp_points(np.array([[100.0, 0.0]]), tilted, 0, OUT)
    assert math.isclose(warp_points(np.array([[50.0, 0.0]]), tilted, 0, OUT)[0, 0], 100)
