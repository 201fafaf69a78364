"""3×3 matrices of geometry, for many samples at once: where an output pixel comes from.

Positions are columns (x, y, 1); pixel centres lie at whole numbers plus a half. Every function gives float64 [B, 3, 3]
from numbers [B], as the map from output to source of the operation its name says.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["about", "affine", "homography", "identity", "mirror", "rectangle", "shift"]

Numbers = NDArray[np.float64]


def identity(count: int) -> Numbers:
    """[count, 3, 3], writable."""
    return np.tile(np.eye(3), (count, 1, 1))


def shift(x: ArrayLike, y: ArrayLike) -> Numbers:
    """Output (0, 0) shows what was at (x, y)."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    result = identity(x.size)
    result[:, 0, 2], result[:, 1, 2] = x, y
    return result


def mirror(flipped: NDArray[np.bool_], length: int, *, axis: int = 0) -> Numbers:
    """Mirrored where `flipped`: x → length − x, or y → length − y for axis 1."""
    result = identity(len(flipped))
    result[flipped, axis, axis], result[flipped, axis, 2] = -1.0, length
    return result


def rectangle(top: Numbers, left: Numbers, height: Numbers, width: Numbers, out: tuple[int, int]) -> Numbers:
    """The output shows the rectangle, its corners on the output's corners."""
    result = identity(len(top))
    result[:, 0, 0], result[:, 0, 2] = width / out[1], left
    result[:, 1, 1], result[:, 1, 2] = height / out[0], top
    return result


def affine(angle: Numbers, scale: Numbers, stretch: Numbers, shear_x: Numbers, shear_y: Numbers) -> Numbers:
    """Backwards about the origin: stretch and scale, then shear, then turn anticlockwise on the screen (radians).

    Forwards: rotation(angle) · [[1, tan shear_x], [tan shear_y, 1]] · diag(scale √stretch, scale / √stretch); rows grow
    downwards, so the rotation that looks anticlockwise is [[cos, sin], [−sin, cos]].
    """
    cos, sin = np.cos(angle), np.sin(angle)
    tx, ty = np.tan(shear_x), np.tan(shear_y)
    wide, high = scale * np.sqrt(stretch), scale / np.sqrt(stretch)
    forward = identity(len(angle))
    forward[:, 0, 0], forward[:, 0, 1] = wide * (cos + sin * ty), high * (cos * tx + sin)
    forward[:, 1, 0], forward[:, 1, 1] = wide * (-sin + cos * ty), high * (-sin * tx + cos)
    return np.linalg.inv(forward).astype(np.float64, copy=False)


def about(matrices: Numbers, centre: tuple[float, float]) -> Numbers:
    """The same operation about `centre` (x, y) in place of the origin."""
    x, y = centre
    to, back = np.eye(3), np.eye(3)
    to[:2, 2], back[:2, 2] = (x, y), (-x, -y)
    return to @ matrices @ back


def homography(output: Numbers, source: Numbers) -> Numbers:
    """The perspective that takes four output points [B, 4, 2] to four source points [B, 4, 2], no three in a line.

    With h33 = 1 each pair of points gives two linear equations (Hartley and Zisserman 2004, eq. 4.3).
    """
    x, y = output[..., 0], output[..., 1]
    u, v = source[..., 0], source[..., 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows_u = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    rows_v = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    equations = np.concatenate([rows_u, rows_v], 1)  # [B, 8, 8]
    unknowns = np.linalg.solve(equations, np.concatenate([u, v], 1)[..., None])[..., 0]
    return np.concatenate([unknowns, np.ones((len(x), 1))], 1).reshape(-1, 3, 3)
