"""The four plans, and which of them to take.

    probe    a linear classifier on the best layer; nothing else learns
    few      the last stage learns, and the scores, which begin as a probe
    more     everything learns, the deeper the slower, a stage more at every epoch, drawn to where it began
    scratch  everything learns, from random weights

Each is a set of settings of the ordinary training loop (`settings_for`), but `probe`, which is `striate.train.transfer.
probing`. All are given the same budget: so many images shown.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, final, get_args

from striate.augment import policy_to_dict
from striate.errors import StriateError, unknown
from striate.nets import Net
from striate.train.settings import Settings
from striate.train.transfer.amount import noise_for
from striate.train.transfer.depth import depth_of
from striate.train.transfer.evidence import Evidence

__all__ = ["PLANS", "Choice", "Plan", "choose", "plan_settings"]

Plan = Literal["probe", "few", "more", "scratch"]
PLANS: tuple[Plan, ...] = get_args(Plan)

NEAR = 0.5  # of what the deepest layer knows (κ), what the source's own answers tell, where data are similar
MANY = 200  # images of a class that are many: with up to 100, no fine-tuning was a point ahead of the best probe
EPOCHS = 12  # that a budget is divided into: a stage more learns at each of the first, and a curve has as many points

# Softmax regression on features of mean square length p has a curvature of p / 2 at most (Böhning 1992), and descends
# at rates below 4 / p. Nets without norms have long features: SqueezeNet's p is 30,000 at 96 px.
STEADY = 4.0

# What the plans have in common: a short run with one rise and fall of the rate.
COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "optimizer": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "schedule": "onecycle",
        "peak_fraction": 0.3,
        "label_smoothing": 0.1,
        "clip_grad": 5.0,  # nets without norms, as SqueezeNet, take a first step too many easily
        "ema": 0.95,
        "policy": "own",
        "epochs": EPOCHS,
    }
)
TUNED: Mapping[Plan, Mapping[str, Any]] = MappingProxyType(
    {
        "few": MappingProxyType({"lr": 0.005, "head_probe": True, "anchor": 5e-4, "weight_decay": 5e-4}),
        "more": MappingProxyType(
            {
                "lr": 0.01,
                "head_probe": True,
                "depth_decay": 0.7,
                "unfreeze_epochs": 1,
                "anchor": 5e-4,
                "weight_decay": 5e-4,
            }
        ),
        "scratch": MappingProxyType({"lr": 0.02, "weight_decay": 5e-4}),
    }
)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """A plan, and the reason in a sentence or two."""

    plan: Plan
    reason: str


def choose(evidence: Evidence) -> Choice:
    """The plan of the lectures' table for what was measured."""
    amount, deepest, best = evidence.amount, evidence.deepest, evidence.best
    share = evidence.answers / deepest.kappa if deepest.kappa > 0 else 0.0
    behind = best.accuracy - deepest.accuracy
    near = share >= NEAR and behind <= evidence.error
    much = amount.least >= MANY
    if much:
        plan: Plan = "few" if near else "more"
        what = "fine-tune a few layers" if near else "fine-tune more layers"
    else:
        plan = "probe"
        what = "a linear classifier on top" if near else "linear classifiers on every stage, and the best of them"
    told = (
        f"the source's own answers tell {max(0.0, share):.0%} of what its deepest layer knows (κ "
        f"{evidence.answers:.2f} of {deepest.kappa:.2f}; from {NEAR:.0%} on data are similar)"
    )
    depth = (
        f"no earlier layer knows more than {deepest.place}"
        if behind <= evidence.error
        else f"{best.place} knows more than the deepest layer ({best.accuracy:.1%} against {deepest.accuracy:.1%})"
    )
    counted = f"{amount.least:,} images of the smallest class are {'many' if much else 'few'} for that (from {MANY} on)"
    kind = f"{'much' if much else 'little'} data, {'similar' if near else 'different'}"
    return Choice(plan=plan, reason=f"{kind}: {what}. {told[:1].upper()}{told[1:]}; {depth}; {counted}.")


def plan_settings(
    plan: Plan, base: Settings, net: Net, *, steps: int, images: int, classes: int, mirror: bool, power: float = 0.0
) -> Settings:
    """`base` with what the plan changes, for `steps` updates on `images` training images.

    `net` is the source's: its stages are what is frozen. `power`: mean square length of what its scores are computed
    from, by which their rate is bounded. Raises StriateError for `probe`, which trains no net.
    """
    if plan not in TUNED:
        raise StriateError(unknown("plan that trains", plan, TUNED))
    per_epoch = max(1, steps // EPOCHS) * base.batch_size
    changes: dict[str, Any] = {
        **COMMON,
        **TUNED[plan],
        "max_steps": steps,
        "repeat": max(1, math.ceil(per_epoch / images)),
        "noise": policy_to_dict(noise_for(images / classes, mirror=mirror)),
    }
    changes["epochs"] = max(1, math.ceil(steps / max(1, changes["repeat"] * images // base.batch_size)))
    groups = depth_of(net).groups
    if changes["epochs"] < 2 * len(groups):  # many images, few epochs: the first stages would hardly have their turn
        changes["unfreeze_epochs"] = 0
    if plan != "scratch" and power > 0:
        changes["lr"] = min(changes["lr"], STEADY / power)
    if plan == "few":
        changes["freeze"] = groups[-3][0] if len(groups) > 2 else ""  # all but the last stage and the scores
    if plan == "scratch":
        changes["pretrained"] = None
    return base.replace(**changes)
