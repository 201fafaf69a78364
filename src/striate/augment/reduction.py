"""How small a JPEG may be decoded for a map that shrinks it anyway.

libjpeg decodes at 1/2, 1/4 or 1/8 by leaving frequencies out, which is a box filter of as many pixels and several times
as fast. It is allowed where the map still shrinks what comes out by GAP everywhere, so that the exact filter does the
last of the work. A function of the map alone: whoever draws the same numbers decodes the same pixels.
"""

import numpy as np
from numpy.typing import NDArray

from striate.augment import radial

__all__ = ["reductions"]

GAP = 2.0  # Pillow's own default (`reducing_gap` of Image.thumbnail): nearly the look of resampling in one go
STEP = 0.5  # px of the output, of the finite differences that the local scale is measured by


def reductions(
    geometry: NDArray[np.float64], lens: NDArray[np.float64] | None, out: tuple[int, int]
) -> NDArray[np.int64]:
    """int64 [B]: 1, 2, 4 or 8, for maps [B, 3, 3] of an output of `out` px and its lens terms [B, 2].

    The local scale is that of the filter, the smaller of √(a² + b²) and √(c² + d²) (docs/design/augment.md), over the
    output's corners, the middles of its sides and its centre.

    >>> reductions(np.array([np.diag([k, k, 1.0]) for k in (1, 3.9, 4, 8, 100)]), None, (10, 10)).tolist()
    [1, 1, 2, 4, 8]
    """
    height, width = out
    rows, columns = np.meshgrid(np.linspace(0, height, 3), np.linspace(0, width, 3), indexing="ij")
    x, y = columns.ravel(), rows.ravel()
    across = _mapped(geometry, lens, out, x + STEP, y) - _mapped(geometry, lens, out, x - STEP, y)
    down = _mapped(geometry, lens, out, x, y + STEP) - _mapped(geometry, lens, out, x, y - STEP)
    scale = np.hypot(across, down) / (2 * STEP)  # [B, 2, 9]
    least = scale.min(axis=(1, 2)) * (1 + 1e-9)  # a scale of exactly 4 is not 4 − ε
    factors = np.ones(len(geometry), np.int64)
    for factor in (2, 4, 8):
        factors[least >= GAP * factor] = factor  # false for what is not finite, which the resampler refuses
    return factors


def _mapped(
    geometry: NDArray[np.float64],
    lens: NDArray[np.float64] | None,
    out: tuple[int, int],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Source positions [B, 2, n] of output positions [n]."""
    height, width = out
    points = np.stack([x, y, np.ones_like(x)])  # [3, n]
    bent = np.broadcast_to(points, (len(geometry), *points.shape))
    if lens is not None:
        dx, dy = x - width / 2, y - height / 2
        u = (dx * dx + dy * dy) * radial.per_square(height, width)
        f = radial.factor(u, lens[:, :1], lens[:, 1:])  # [B, n]
        bent = np.stack([width / 2 + f * dx, height / 2 + f * dy, np.ones_like(f)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        source = geometry @ bent
        places: NDArray[np.float64] = source[:, :2] / source[:, 2:]
    return places
