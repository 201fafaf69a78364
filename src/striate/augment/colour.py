"""Affine maps of colour, [B, C, C + 1] in byte units, for grey (C = 1) and RGB (C = 3) alike.

Grey images have no saturation and no hue: those maps are the identity for them.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LUMA", "brightness", "contrast", "greyscale", "hue", "invert", "offset", "saturation"]

Numbers = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's and torchvision's grey

# RGB to (Y, I, Q), the NTSC axes: hue is an angle in the plane of I and Q, and Y is the luma above.
YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def _plain(count: int, channels: int) -> Numbers:
    return np.tile(np.eye(channels, channels + 1), (count, 1, 1))


def brightness(factors: Numbers, channels: int) -> Numbers:
    """Every value times the factor: 0 is black, 1 the image."""
    return _plain(len(factors), channels) * factors[:, None, None]


def contrast(factors: Numbers, mean: Numbers) -> Numbers:
    """Towards or away from the mean grey of `mean` [C] (the training set's, in bytes): 0 is grey, 1 the image."""
    channels = len(mean)
    pivot = float(mean @ LUMA) if channels == 3 else float(mean.mean())
    result = brightness(factors, channels)
    result[:, :, channels] = (1 - factors)[:, None] * pivot
    return result


def saturation(factors: Numbers, channels: int) -> Numbers:
    """Towards or away from each pixel's own grey: 0 is greyscale, 1 the image."""
    result = _plain(len(factors), channels)
    if channels == 3:
        result[:, :, :3] = factors[:, None, None] * np.eye(3) + (1 - factors)[:, None, None] * LUMA
    return result


def greyscale(chosen: NDArray[np.bool_], channels: int) -> Numbers:
    """Grey where chosen, in as many channels as before."""
    return saturation(np.where(chosen, 0.0, 1.0), channels)


def hue(turns: Numbers, channels: int) -> Numbers:
    """Hue turned by so many full turns, about the axis of greys; luma stays, to the rounding of the NTSC numbers."""
    result = _plain(len(turns), channels)
    if channels == 3:
        angle = 2 * np.pi * turns
        turned = np.tile(np.eye(3), (len(turns), 1, 1))
        turned[:, 1, 1] = turned[:, 2, 2] = np.cos(angle)
        turned[:, 2, 1] = np.sin(angle)
        turned[:, 1, 2] = -turned[:, 2, 1]
        result[:, :, :3] = np.linalg.inv(YIQ) @ turned @ YIQ
    return result


def offset(values: Numbers) -> Numbers:
    """One colour, `values` [B, C] in bytes, added to every pixel."""
    result = _plain(*values.shape)
    result[:, :, -1] = values
    return result


def invert(chosen: NDArray[np.bool_], channels: int) -> Numbers:
    """255 − value where chosen."""
    result = brightness(np.where(chosen, -1.0, 1.0), channels)
    result[chosen, :, channels] = 255.0
    return result
