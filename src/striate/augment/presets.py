"""Policies by name: what to start from.

| name | noises |
|---|---|
| none | none |
| light | pad and crop, mirror: the CIFAR recipe of He 2015, §4.2 |
| alexnet | random crops of the resized image, mirror, PCA colour: Krizhevsky 2012, §4.1 |
| resnet | random scale and crop, mirror, PCA colour: He 2015, §3.4 |
| strong | random resized crops, mirror, RandAugment, erasing: for few photographs and long runs |
| auto | one of these, by how much there is to learn from |

Mirrors are left out where a mirrored image is another class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from striate.augment.auto import RandAugment
from striate.augment.color import PCAColor
from striate.augment.erasing import RandomErasing
from striate.augment.flip import HorizontalFlip
from striate.augment.noise import Noise
from striate.augment.pad_crop import PadCrop
from striate.augment.places import in_proportion
from striate.augment.policy import Policy
from striate.augment.random_crop import RandomResizedCrop, RandomScaleCrop
from striate.errors import UnknownName, unknown

__all__ = ["PRESETS", "Chosen", "light", "preset"]

Preset: TypeAlias = Literal["none", "light", "alexnet", "resnet", "strong", "auto"]
PRESETS: tuple[Preset, ...] = ("none", "light", "alexnet", "resnet", "strong", "auto")

SMALL = 64  # px: below, an image is an icon, and a resampled icon has lost its edges
FEW, MANY = 500, 5_000  # images a class: ants and bees have 120, CIFAR-10 5,000, ImageNet 1,300


@dataclass(frozen=True)
class Chosen:
    """A policy, and why in a few words where its name does not say it."""

    policy: Policy
    reason: str = ""

    def told(self, name: str) -> str:
        """Its name, with the reason behind it."""
        return f"{name} ({self.reason})" if self.reason else name


def preset(
    name: str,
    size: int,
    *,
    mirror: bool,
    pad: int | None = None,
    per_class: float,
    pca: Callable[[], PCAColor],
) -> Chosen:
    """The policy of that name for square images of `size` px.

    `mirror`: a mirrored image keeps its class. `pad`: of "light", a sixteenth of the size if None. `per_class`:
    training images of a class, which "auto" goes by. `pca` fits the training set's colours, where they are needed.

    Raises StriateError for a name that is none of PRESETS.
    """
    if name == "light":
        return Chosen(light(size, mirror=mirror, pad=pad))
    flips = _flips(mirror)
    if name == "auto":
        picked, why = _auto(size, per_class)
        chosen = preset(picked, size, mirror=mirror, pad=pad, per_class=per_class, pca=pca)
        return Chosen(chosen.policy, f"{picked}: {why}")
    noises: tuple[Noise, ...]
    if name == "none":
        noises = ()
    elif name == "alexnet":
        short = in_proportion(256, size)
        noises = (RandomScaleCrop((short, short)), *flips, pca())
    elif name == "resnet":
        noises = (RandomScaleCrop((in_proportion(256, size), in_proportion(480, size))), *flips, pca())
    elif name == "strong":
        noises = (RandomResizedCrop((0.25, 1.0)), *flips, RandAugment(2, 9), RandomErasing(0.25))
    else:
        raise UnknownName(unknown("policy", name, PRESETS))
    return Chosen(Policy(noises, fill="mean"))


def _auto(size: int, per_class: float) -> tuple[Preset, str]:
    if size <= SMALL:
        return "light", f"images of {size} px are too small to resample"
    if per_class < FEW:
        return "strong", f"{per_class:,.0f} images a class are few"
    if per_class < MANY:
        return "resnet", f"{per_class:,.0f} images a class"
    return "alexnet", f"{per_class:,.0f} images a class are many"


def light(size: int, *, mirror: bool, pad: int | None = None) -> Policy:
    """The policy "light" for square images of `size` px; `pad` is a sixteenth of that if None (14 px of 224)."""
    pixels = size // 16 if pad is None else pad
    return Policy(((PadCrop(pixels),) if pixels else ()) + _flips(mirror), fill="mean")


def _flips(mirror: bool) -> tuple[Noise, ...]:
    return (HorizontalFlip(),) if mirror else ()
