"""What noise may training add, and over which views does testing average?

    windows = Policy((PadCrop(4), HorizontalFlip())).windows(seed, epoch, samples, sizes, out=(32, 32))
    views   = Policy((PadCrop(4), HorizontalFlip())).views((32, 32), out=(32, 32))

A policy never touches a pixel. It says where in each image to look, and the one native pass that turns bytes into
floats looks there.
"""

from striate.augment.flip import HorizontalFlip
from striate.augment.noise import Noise, View
from striate.augment.pad_crop import PadCrop
from striate.augment.policy import Policy

__all__ = ["HorizontalFlip", "Noise", "PadCrop", "Policy", "View"]
