"""Channels and bit depths: how any pixel becomes 8-bit RGB or 8-bit grey.

Grey is the luma of ITU-R BT.601, Y = 0.299 R + 0.587 G + 0.114 B, computed from 8-bit RGB in Pillow's 16-bit fixed
point (its mode "L"), whatever the file's own colour space: one rule, so that a picture saved as JPEG, PNG or palette
GIF gives the same grey. Grey becomes RGB by repetition, and comes back unchanged (19595 + 38470 + 7471 = 65536).

Transparency is laid over white, the paper and the web page that such pictures are drawn for: dark strokes on a
transparent ground stay visible, as they would not on black, and hidden colours under full transparency do not leak in.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["over_white", "scaled_to_8_bit", "with_channels"]


def with_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """`image`, uint8[H, W, 1 or 3], as uint8[H, W, channels], contiguous; itself where nothing is to be done."""
    have = image.shape[2]
    if have == channels:
        return np.ascontiguousarray(image)
    if (have, channels) == (1, 3):
        return np.repeat(image, 3, axis=2)
    if (have, channels) == (3, 1):
        return np.array(Image.fromarray(np.ascontiguousarray(image)).convert("L"))[:, :, None]
    raise ValueError(f"an image of {have} channels cannot be given {channels}; both must be 1 or 3")


def over_white(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay `colour`, uint8[H, W, C], over white by `alpha`, uint8[H, W]: (αc + (255 − α)255) / 255, rounded.

    The sum is at most 255² + 127 = 65,152 and fits 16 bits.
    """
    opacity = alpha[:, :, None].astype(np.uint16)
    laid = colour * opacity + (255 - opacity) * np.uint16(255)  # uint16[H, W, C]
    return ((laid + np.uint16(127)) // np.uint16(255)).astype(np.uint8)


def scaled_to_8_bit(values: NDArray[np.generic], maximum: int) -> NDArray[np.uint8]:
    """Integers 0 … `maximum` (at most 16 bits) to 0 … 255, rounded to nearest: 65535 becomes 255, as 257 becomes 1."""
    wide = values.astype(np.uint32)
    return ((wide * np.uint32(255) + np.uint32(maximum // 2)) // np.uint32(maximum)).astype(np.uint8)
