"""Noises by name, and policies as the plain tables that recipes, run folders and model files hold.

fill = "mean"
noises = [{noise = "RandomResizedCrop", scale = [0.2, 1.0]}, {noise = "HorizontalFlip"}]
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from striate.augment.affine import Affine, Lens, Perspective
from striate.augment.auto import RandAugment, TrivialAugment
from striate.augment.color import ColorJitter, PCAColor, RandomGrayscale
from striate.augment.erasing import Cutout, RandomErasing
from striate.augment.flip import HorizontalFlip, VerticalFlip
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
from striate.errors import StriateError, unknown
from striate.plain import plain

__all__ = ["NOISES", "policy_from_dict", "policy_to_dict"]

NOISES: Mapping[str, type[Noise]] = {
    kind.__name__: kind
    for kind in (
        Affine,
        ColorJitter,
        Cutout,
        GaussianBlur,
        GaussianNoise,
        HorizontalFlip,
        Lens,
        PCAColor,
        PadCrop,
        Perspective,
        RandAugment,
        RandomEqualize,
        RandomErasing,
        RandomGamma,
        RandomGrayscale,
        RandomPosterize,
        RandomResizedCrop,
        RandomScaleCrop,
        RandomSolarize,
        TrivialAugment,
        VerticalFlip,
    )
}


def policy_to_dict(policy: Policy) -> dict[str, Any]:
    """Plain numbers, strings, lists and tables, as JSON and TOML know them; what is None is left out."""
    table = {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)}
    table["noises"] = [
        {"noise": type(noise).__name__} | plain({f.name: getattr(noise, f.name) for f in dataclasses.fields(noise)})  # type: ignore[arg-type]  # every noise is a dataclass
        for noise in policy.noises
    ]
    return {name: value for name, value in plain(table).items() if value is not None}


def policy_from_dict(table: Mapping[str, Any]) -> Policy:
    """The inverse of `policy_to_dict`. Raises StriateError for a name or a value that is not one of these."""
    names = [field.name for field in dataclasses.fields(Policy)]
    for name in table:
        if name not in names:
            raise StriateError(unknown("setting of a policy", str(name), names))
    noises = table.get("noises", ())
    if not isinstance(noises, list | tuple) or not all(isinstance(noise, Mapping) for noise in noises):
        raise StriateError("policy: noises is a list of tables, each with the name of a noise as `noise`")
    return Policy(**{**table, "noises": tuple(_noise(noise) for noise in noises)})


def _noise(table: Mapping[str, Any]) -> Noise:
    name = str(table.get("noise", ""))
    if name not in NOISES:
        raise StriateError(unknown("noise", name, NOISES))
    kind: Any = NOISES[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    settings = {key: plain(value, tuple) for key, value in table.items() if key != "noise"}
    for key in settings:
        if key not in fields:
            raise StriateError(unknown(f"setting of {name}", key, fields))
    missing = [key for key, f in fields.items() if f.default is dataclasses.MISSING and key not in settings]
    if missing:
        raise StriateError(f"{name}: {', '.join(missing)} missing")
    try:
        noise: Noise = kind(**settings)
    except (TypeError, ValueError, OverflowError) as error:  # a kind of value that the noise has no words for
        raise StriateError(f"{name}: {str(error).splitlines()[0]}; the settings are {settings!r}") from error
    return noise
