"""The noise of a run: from the policy's name in the settings to the policy that draws, and back from a run's config."""

import dataclasses
from pathlib import Path

from striate.augment import CutMix, Mixup, Policy, RandomScaleCrop, policy_from_dict, policy_to_dict
from striate.augment.mix import Mixing
from striate.augment.presets import PRESETS, Chosen, light, preset
from striate.data import Dataset, Preprocess
from striate.errors import StriateError, UnknownName, unknown
from striate.train.colours import Colours
from striate.train.settings import Settings, read_toml

__all__ = ["choose_policy", "describe", "matched_to", "mixings", "policy_of", "with_policy"]

PADDED = ("light", "auto")  # the policies whose crops `pad` is a setting of


def choose_policy(settings: Settings, data: Dataset, colours: Colours) -> Chosen:
    """The policy that resolved settings name for these data, and why; `colours` are those of their training part.

    Raises StriateError for a name or a file that is none.
    """
    assert settings.size is not None
    check_policy(settings)
    if settings.policy == "own":
        return Chosen(policy_from_dict(settings.noise), "as its table says")
    if settings.policy not in PRESETS:
        return Chosen(policy_from_dict(read_toml(Path(settings.policy))), "as the file says")

    return preset(
        settings.policy,
        settings.size,
        mirror=bool(settings.flip),
        pad=settings.pad,
        per_class=len(data.train) / len(data.classes),
        pca=colours.pca,
    )


def check_policy(settings: Settings) -> None:
    """Raise StriateError for a policy that is neither a name nor a file, and for one's own without its table."""
    if settings.policy == "own":
        if not settings.noise:
            raise StriateError('policy "own" needs a table [noise] in the config; docs/augment.md shows one')
    elif settings.policy not in PRESETS and Path(settings.policy).suffix != ".toml":
        raise UnknownName(unknown("--policy", settings.policy, (*PRESETS, "own", "a TOML file")))


def with_policy(settings: Settings, policy: Policy) -> Settings:
    """The settings with the policy written into them, so that a resumed run draws what it drew."""
    return settings.replace(noise=policy_to_dict(policy))


def policy_of(settings: Settings, preprocess: Preprocess) -> Policy:
    """The policy in these (resolved) settings, which knows the training set's mean colour.

    A run from before policies had names holds no table; its noise was what "light" is, by its own `pad` and `flip`.
    """
    policy = (
        policy_from_dict(settings.noise)
        if settings.noise
        else light(preprocess.size[0], mirror=bool(settings.flip), pad=settings.pad)
    )
    return dataclasses.replace(policy, mean=preprocess.mean)


def matched_to(policy: Policy, preprocess: Preprocess) -> Preprocess:
    """How a net that is trained under `policy` is tested: where its crops are cut from larger images, on the middle of
    the smallest of these, so that things look as large as in training. The papers' 256 px for a window of 224
    (Krizhevsky 2012, §4.1; He 2015, §3.4); what it is worth: benchmarks/results/noise-accuracy-cifar-2026-11-28.md.
    """
    for noise in policy.noises:
        if isinstance(noise, RandomScaleCrop) and preprocess.resize == "crop" and preprocess.resize_size is None:
            side = noise.short_side[0]
            if side > max(preprocess.size):
                return dataclasses.replace(preprocess, resize_size=(side, side))
    return preprocess


def mixings(settings: Settings) -> tuple[Mixing, ...]:
    """How batches are mixed: of several ways each batch takes one."""
    return ((Mixup(settings.mixup),) if settings.mixup else ()) + (
        (CutMix(settings.cutmix),) if settings.cutmix else ()
    )


def describe(policy: Policy) -> str:
    """The noises by name, in order.

    >>> describe(Policy())
    'none'
    """
    return ", ".join(type(noise).__name__ for noise in policy.noises) or "none"
