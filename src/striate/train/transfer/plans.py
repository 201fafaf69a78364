"""The four plans, and which of them to take.

    probe    a linear classifier on the best layer; nothing else learns
    few      goes on from the probe: the stage below its layer learns, and the classifier
    more     goes on from the probe: everything learns up to its layer
    scratch  the whole net learns, from random weights

Each is a set of settings of the ordinary training loop (`plan_settings`), but `probe` (`probing.py`). All are given
the same budget: so many images shown.

What goes on from a probe keeps to what the probe was fitted to: the same loss, the same penalty on the classifier, the
features centred and of unit scale. Its weights are then where they would stay if the net did not move. (Without the
penalty the classifier runs away first, and with it three to ten points; with features as long as they come no rate is
both steady for the classifier and of any use to the net.)
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, final, get_args

from striate.augment import policy_to_dict
from striate.errors import UnknownName, unknown
from striate.train.settings import Settings
from striate.train.transfer.amount import noise_for
from striate.train.transfer.depth import depth_of
from striate.train.transfer.evidence import Evidence
from striate.train.transfer.probing import Start

__all__ = ["PLANS", "Choice", "Plan", "choose", "plan_settings"]

Plan = Literal["probe", "few", "more", "scratch"]
PLANS: tuple[Plan, ...] = get_args(Plan)

NEAR = 0.5  # of what the deepest layer knows (κ), what the source's own answers tell at least, where data are similar
SURE = 2.0  # standard errors that an earlier layer is ahead of the deepest by, where data are different
WEAK = 0.45  # of all that there is to know (κ): a source whose best layer knows less is of another kind
# Images in all that are many, since layers are tuned by all of them, whatever their class. So few, because what trains
# goes on from the probe and is held there: with the least that was tried, twenty, it was no worse.
MANY = 20
EPOCHS = 12  # that a budget is divided into: a curve has as many points

# Softmax regression has a curvature of λ / 2 at most (Böhning 1992), λ the largest eigenvalue of its features'
# covariance, and descends with momentum 0.9 at rates below 7.6 / λ; half of that leaves room for λ to grow.
STEADY = 4.0

# What the plans have in common: a short run with one rise and fall of the rate.
COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "optimizer": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "schedule": "onecycle",
        "peak_fraction": 0.2,
        "clip_grad": 5.0,  # nets without norms, as SqueezeNet, take a first step too many easily
        "ema": 0.95,
        "policy": "own",
        "epochs": EPOCHS,
    }
)
TUNING: Mapping[str, Any] = MappingProxyType(
    {
        "lr": 0.01,
        "anchor": 0.01,
        "freeze_norms": True,
        "label_smoothing": 0.0,
        "explosion": 0.0,  # a probe is sure of itself: under noise its first batches cost from 0.9 to 5
    }
)
TUNED: Mapping[Plan, Mapping[str, Any]] = MappingProxyType(
    {
        "few": TUNING,
        "more": TUNING,
        "scratch": MappingProxyType(  # SGD left SqueezeNet at chance, and so, now and then, did 1e-3
            {"optimizer": "adamw", "lr": 5e-4, "weight_decay": 0.01, "label_smoothing": 0.1}
        ),
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
    if not evidence.is_known:
        return Choice(
            plan="probe",
            reason="little data: a linear classifier on top. With one image of every class none can be left out and "
            "asked for, so what the layers know was not measured.",
        )
    amount, deepest, best = evidence.amount, evidence.deepest, evidence.best
    share = evidence.answers / deepest.kappa if deepest.kappa > 0 else 0.0
    behind = best.accuracy - deepest.accuracy
    falls_short = evidence.answers + evidence.answers_error < NEAR * deepest.kappa
    ahead = behind > SURE * evidence.error
    weak = evidence.known < WEAK
    near = not (falls_short or ahead or weak)  # that data are different has to show
    much = amount.images >= MANY
    if much:
        plan: Plan = "few" if near else "more"
        what = "fine-tune a few layers" if near else "fine-tune more layers"
    else:
        plan = "probe"
        what = "a linear classifier on top" if near else "linear classifiers on every stage, and the best of them"
    told = (
        f"the source's own answers tell {max(0.0, share):.0%} of what its deepest layer knows (κ "
        f"{evidence.answers:.2f} ± {evidence.answers_error:.2f} of {deepest.kappa:.2f}; under {NEAR:.0%}, and by more "
        "than that error, data are different)"
    )
    depth = (
        f"{best.place} knows more than the deepest layer ({best.accuracy:.1%} against {deepest.accuracy:.1%})"
        if ahead
        else f"no earlier layer is sure to know more than {deepest.place}"
    )
    if weak:
        depth += f", and the best knows little (κ {evidence.known:.2f} with all images, under {WEAK:g})"
    counted = f"{amount.images:,} images are {'many' if much else 'few'} for that (from {MANY} on)"
    kind = f"{'much' if much else 'little'} data, {'similar' if near else 'different'}"
    return Choice(plan=plan, reason=f"{kind}: {what}. {told[:1].upper()}{told[1:]}; {depth}; {counted}.")


def plan_settings(
    plan: Plan,
    base: Settings,
    start: Start | None,
    *,
    steps: int,
    images: int,
    classes: int,
    mirror: bool,
) -> Settings:
    """`base` with what the plan changes, for `steps` updates on `images` training images; `start`: the probe to go on
    from, None from scratch.

    Raises StriateError for `probe`, which trains no net.
    """
    if plan not in TUNED:
        raise UnknownName(unknown("plan that trains", plan, TUNED))
    per_epoch = max(1, steps // EPOCHS) * base.batch_size
    changes: dict[str, Any] = {
        **COMMON,
        **TUNED[plan],
        "max_steps": steps,
        "repeat": max(1, math.ceil(per_epoch / images)),
        "noise": policy_to_dict(noise_for(images / classes, mirror=mirror)),
    }
    changes["epochs"] = max(1, math.ceil(steps / max(1, changes["repeat"] * images // base.batch_size)))
    if start is None:
        return base.replace(**changes, pretrained=None)
    changes["lr"] = min(changes["lr"], STEADY / start.spread)
    if plan == "few":
        before = [name for name, _ in depth_of(start.net).groups[:-2]]
        changes["freeze"] = before[-1] if before else ""  # all but the last stage and the classifier
    return base.replace(
        **changes,
        model=start.card.net,
        model_settings=dict(start.card.settings),
        pretrained=str(start.file),
        weight_decay=start.penalty,
    )
