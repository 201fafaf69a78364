"""What noise may training add, and over which views does testing average?

    policy = Policy((RandomResizedCrop(), HorizontalFlip(), ColorJitter(0.4, 0.4, 0.4)))
    draws  = policy.draws(seed, epoch, samples, sizes, (224, 224), frames)    # one map and one colour an image
    views  = policy.views((224, 224))                                          # what testing averages instead

A policy never touches a pixel, but for the steps that no matrix can do. It says where in each image to look and how to
change the colours; one native pass looks there.
"""

from striate.augment.affine import Affine, Lens, Perspective
from striate.augment.auto import RandAugment, TrivialAugment
from striate.augment.color import ColorJitter, PCAColor, RandomGrayscale
from striate.augment.erasing import Cutout, RandomErasing
from striate.augment.flip import HorizontalFlip, VerticalFlip
from striate.augment.mix import CutMix, Mixed, Mixup, mix
from striate.augment.noise import Noise
from striate.augment.pad_crop import PadCrop
from striate.augment.pixelwise import (
    GaussianBlur,
    GaussianNoise,
    RandomEqualize,
    RandomGamma,
    RandomPosterize,
    RandomSolarize,
)
from striate.augment.policy import Policy
from striate.augment.random_crop import RandomResizedCrop, RandomScaleCrop
from striate.augment.registry import NOISES, policy_from_dict, policy_to_dict
from striate.augment.scene import Draws
from striate.augment.view import View

__all__ = [
    "NOISES",
    "Affine",
    "ColorJitter",
    "CutMix",
    "Cutout",
    "Draws",
    "GaussianBlur",
    "GaussianNoise",
    "HorizontalFlip",
    "Lens",
    "Mixed",
    "Mixup",
    "Noise",
    "PCAColor",
    "PadCrop",
    "Perspective",
    "Policy",
    "RandAugment",
    "RandomEqualize",
    "RandomErasing",
    "RandomGamma",
    "RandomGrayscale",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomScaleCrop",
    "RandomSolarize",
    "TrivialAugment",
    "VerticalFlip",
    "View",
    "mix",
    "policy_from_dict",
    "policy_to_dict",
]
