"""Pictures inside the page: thumbnails of images, and the first layer's filters, as PNG data addresses.

Small images keep their pixels (the page enlarges them unsmoothed); large ones are reduced to a thumbnail. A filter is
drawn around mid-grey, which stands for 0, and scaled by its own largest weight: what matters is its pattern.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["SIDE_PX", "FilterRow", "Picture", "data_address", "filter_rows", "thumbnail"]

SIDE_PX = 96  # the longest side of a thumbnail
MOST_FILTERS = 128
MOST_SLICES = 16  # filters, and input channels of each, where the input is neither grey nor RGB


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture to be placed in the page: its `src`, its size as shown, and whether its pixels are to stay visible."""

    address: str
    width: int
    height: int
    pixelated: bool


@dataclass(frozen=True, kw_only=True)
class FilterRow:
    """Filters that belong on one row (all of them, if they are images themselves). name: "" or the filter's number."""

    name: str
    tiles: tuple[Picture, ...]


def thumbnail(image: npt.NDArray[np.uint8]) -> Picture:
    """uint8 [H, W, 1 or 3] as a picture of at most `SIDE_PX` on either side."""
    height, width = image.shape[:2]
    longest = max(height, width)
    shown_width, shown_height = (max(1, round(side * SIDE_PX / longest)) for side in (width, height))
    if longest <= SIDE_PX:
        address = data_address(image)
    else:
        small = _pillow(image).resize((shown_width, shown_height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        # A photograph in 256 colours of its own is a third of the size, and at 96 px nobody sees the difference.
        address = _png(small.quantize(256) if small.mode == "RGB" else small)
    return Picture(address=address, width=shown_width, height=shown_height, pixelated=longest <= SIDE_PX)


def filter_rows(filters: npt.NDArray[np.floating[Any]]) -> tuple[FilterRow, ...]:
    """The weights [O, I, h, w] of a first convolution as pictures.

    Filters on grey or RGB input (I = 1 or 3) are one picture each, in one row, at most `MOST_FILTERS`; others are a row
    each of their input channels' slices, at most `MOST_SLICES` of both.
    """
    if filters.shape[1] in (1, 3):
        scaled = [_around_grey(one).transpose(1, 2, 0) for one in filters[:MOST_FILTERS]]
        return (FilterRow(name="", tiles=tuple(map(_tile, scaled))),)
    return tuple(
        FilterRow(name=str(i), tiles=tuple(_tile(part[:, :, None]) for part in _around_grey(one)[:MOST_SLICES]))
        for i, one in enumerate(filters[:MOST_SLICES])
    )


def data_address(image: npt.NDArray[np.uint8]) -> str:
    """uint8 [H, W, 1 or 3] as a PNG `data:` address, every pixel kept."""
    return _png(_pillow(image))


def _around_grey(weights: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Weights of any shape as bytes, 0 at 128 and the largest size at 1 or 255; what is not finite counts as 0."""
    known = np.nan_to_num(weights.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = np.abs(known).max(initial=0.0)
    return np.rint(128 + (127 / largest if largest > 0 else 0.0) * known).astype(np.uint8)


def _tile(image: npt.NDArray[np.uint8]) -> Picture:
    height, width = image.shape[:2]
    longest = max(height, width)
    return Picture(
        address=data_address(image),
        width=max(1, round(width * 56 / longest)),
        height=max(1, round(height * 56 / longest)),
        pixelated=True,
    )


def _pillow(image: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image))


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
