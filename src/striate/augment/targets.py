"""What goes along with an image: points, boxes and masks, through the map that the image went through.

Images are resampled backwards, from output to source; points travel forwards, so the map is inverted: a matrix exactly,
a lens by Newton's method on the radius.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.augment.scene import Draws
from striate.errors import StriateError

__all__ = ["Boxes", "warp_boxes", "warp_masks", "warp_points"]

Numbers = NDArray[np.float64]

EDGE_POINTS = 8  # of each side of a box that are followed: enough for a lens, exact for a matrix without one


class Boxes(NamedTuple):
    """`boxes` float64 [n, 4]: left, top, right, bottom in the output, clipped to it. `visible` [n]: the share of the
    warped box's own rectangle that lies in the output, 0 for a box that is out of sight."""

    boxes: Numbers
    visible: Numbers


def warp_points(points: NDArray[np.floating], draws: Draws, row: int, out: tuple[int, int]) -> Numbers:
    """[n, 2] (x, y) in the source, px → [n, 2] in the output of `out` (height, width); beyond it where they fall there.

    Raises StriateError when the map sends a point to infinity.
    """
    source = np.concatenate([np.asarray(points, np.float64), np.ones((len(points), 1))], 1)
    found = source @ np.linalg.inv(draws.geometry[row]).T
    if not (np.abs(found[:, 2]) > 1e-12 * np.abs(found).max(initial=1.0)).all():
        raise StriateError("warp_points: a point lies on the map's horizon; draw milder perspectives")
    flat: Numbers = found[:, :2] / found[:, 2:]
    if draws.lens is None:
        return flat
    centre = np.array([out[1] / 2, out[0] / 2])
    radius = np.hypot(*centre)
    bent = (flat - centre) / radius
    straight: Numbers = centre + radius * bent * _unbent(np.hypot(*bent.T), *draws.lens[row].tolist())[:, None]
    return straight


def warp_boxes(boxes: NDArray[np.floating], draws: Draws, row: int, out: tuple[int, int]) -> Boxes:
    """[n, 4] (left, top, right, bottom) in the source → the upright boxes around them in the output, clipped.

    Around the warped corners, and around points along the sides, which a lens bends outwards.

    Raises StriateError for a box whose right or bottom lies before its left or top.
    """
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    wrong = np.flatnonzero((given[:, 2] < given[:, 0]) | (given[:, 3] < given[:, 1]))
    if len(wrong):
        box = tuple(given[wrong[0]].tolist())
        raise StriateError(f"warp_boxes: box {wrong[0]} is {box}; expected left ≤ right and top ≤ bottom")
    along = np.linspace(0, 1, EDGE_POINTS + 1)
    left, top, right, bottom = (side[:, None] for side in given.T)
    across, down = left + (right - left) * along, top + (bottom - top) * along
    x = np.concatenate([across, across, left + 0 * along, right + 0 * along], 1)
    y = np.concatenate([top + 0 * along, bottom + 0 * along, down, down], 1)
    moved = warp_points(np.stack([x, y], -1).reshape(-1, 2), draws, row, out).reshape(len(given), -1, 2)
    low, high = moved.min(1), moved.max(1)
    limit = np.array([out[1], out[0]], np.float64)
    inner_low, inner_high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    whole, seen = (high - low).prod(1), (inner_high - inner_low).prod(1)
    visible = np.divide(seen, whole, out=np.zeros(len(given)), where=whole > 0)
    return Boxes(np.concatenate([inner_low, inner_high], 1), visible)


def warp_masks(
    masks: list[NDArray[np.uint8]], draws: Draws, out: tuple[int, int], *, fill: int = 0
) -> NDArray[np.uint8]:
    """uint8 [Hi, Wi] each → [B, h, w]: the class at the nearest pixel, `fill` beyond the image. No class is invented.

    Raises ValueError for masks that are not such arrays.
    """
    found = np.empty((len(masks), 1, *out), np.uint8)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    _native.warp(
        [np.ascontiguousarray(mask[..., None]) for mask in masks],
        draws.geometry,
        draws.lens,
        None,
        one,
        zero,
        np.array([fill], np.float32),
        found,
        1,
        filter="nearest",
        antialias=False,
        border="constant",
    )
    return found[:, 0]


def _unbent(bent: Numbers, k1: float, k2: float) -> Numbers:
    """Of radii r (1 + k1 r² + k2 r⁴): r over them (1 at the centre). Inside the output the left side grows with r."""
    r = bent.copy()
    for _ in range(50):
        slope = 1 + 3 * k1 * r**2 + 5 * k2 * r**4
        step = (r * (1 + k1 * r**2 + k2 * r**4) - bent) / np.where(np.abs(slope) > 1e-9, slope, 1e-9)
        r = r - step
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    return np.divide(r, bent, out=np.ones_like(r), where=bent > 0)
