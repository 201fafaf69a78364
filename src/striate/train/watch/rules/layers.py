"""What looks at the layers show: dead and saturated units, gradients that vanish or explode, norms that drift."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.series import Look, Series

__all__ = [
    "batch_norm_drift",
    "blank_images",
    "dead_units",
    "decay_too_strong",
    "exploding_gradients",
    "saturated_units",
    "vanishing_gradients",
]

SETTLED = 20  # steps before which dead units and saturation are those of first weights, which training often cures
DEAD = 0.5  # of a layer's units; in a run that ended at 99 % a third of a layer's maps were silent on the way
SATURATED = 0.5  # of the values: half of the gradient's ways are closed
VANISHED = 1e-3  # of the net's gradient left in its first layers: a sound net of 100 layers has a tenth there
LOUD = 50.0  # norm of a first gradient: ten times what sound first weights give (0.2 to 6 in the healthy runs)
SHRUNK = 0.1  # of their first size: weights that decay has taken, not training (which mostly makes them grow)
NORM_SETTLED = 30  # updates: by then a running average with torch's momentum of 0.1 has forgotten 96 % of its start
SHIFTED = 0.5  # running deviations between running and batch mean: a unit's threshold at another place altogether
STRETCHED = 1.5  # factor between running and batch deviation, either way


def blank_images(series: Series) -> Diagnosis | None:
    """The first layer puts out the same for every image and every place."""
    if not series.looks or not all(look.activations and not look.activations[0]["deviation"] for look in series.looks):
        return None
    name = series.looks[0].activations[0]["name"]
    return Diagnosis(
        illness="one answer for everything",
        evidence=f"{name} puts out one and the same number for all images: they are blank, or all alike",
        remedy="look at what is read (striate data show DATA)",
        serious=True,
        layer=name,
    )


def dead_units(series: Series) -> Diagnosis | None:
    """Rectifiers whose units never fire, in two looks one after the other."""
    worst = _worst_twice(series, "dead", DEAD)
    if worst is None:
        return None
    share, layer, look = worst
    rate = series.facts.get("lr")
    lower = f"--lr {rate / 3:.2g}" if rate else "a lower rate"
    return Diagnosis(
        illness="dead units",
        evidence=f"{share:.0%} of {layer['name']}'s {layer['units']} units never fire (step {look.step})",
        remedy=f"try {lower}, a batch norm before it, or another first bias",
        serious=True,
        layer=layer["name"],
        step=look.step,
    )


def saturated_units(series: Series) -> Diagnosis | None:
    """Squashing units where they are flat."""
    worst = _worst_twice(series, "saturated", SATURATED)
    if worst is None:
        return None
    share, layer, look = worst
    return Diagnosis(
        illness="saturated units",
        evidence=f"{share:.0%} of what {layer['name']} puts out lies where its slope is under a twentieth "
        f"(step {look.step})",
        remedy="start from smaller weights (Xavier), normalise the images, or use ReLU",
        serious=True,
        layer=layer["name"],
        step=look.step,
    )


def exploding_gradients(series: Series) -> Diagnosis | None:
    """Gradients are huge at the very first step, when no rate has done anything yet."""
    if not series.looks or series.looks[0].step > 1:
        return None
    first = series.looks[0]
    if not first.gradient >= LOUD or math.isinf(first.gradient):  # NaN is another illness
        return None
    loudest = max(first.weights, key=lambda layer: layer["gradient"] or 0.0)
    loss = f", with a loss of {series.steps[0].loss:.3g}" if series.steps else ""
    rate = series.facts.get("lr")
    lower = f"--lr {rate / 10:.2g}" if rate else "a tenth of the rate"
    gentler = f"try {lower}" if series.facts.get("pretrained") else "start from smaller weights (He's), add batch norm"
    return Diagnosis(
        illness="exploding gradients",
        evidence=f"the gradient's norm is {first.gradient:.3g} at the first step{loss}, "
        f"most of it in {loudest['name']}",
        remedy=f"{gentler}, or cut it off (--clip-grad 1)",
        serious=True,
        layer=loudest["name"],
        step=first.step,
    )


def vanishing_gradients(series: Series) -> Diagnosis | None:
    """The first layers get next to nothing of the gradient that the last one gets."""
    deep = [look for look in series.looks if len(look.weights) >= 4]
    if len(deep) < 2:
        return None
    left = statistics.median(_share_of_first_layers(look) for look in deep)
    if left > VANISHED or _share_of_first_layers(deep[0]) > VANISHED:
        return None  # the last: what was there and went, training has killed
    first = deep[-1].weights[0]["name"]
    return Diagnosis(
        illness="vanishing gradients",
        evidence=f"{first}, the first of {len(deep[-1].weights)} layers, gets {left:.1g} of the net's gradient "
        f"(norm {deep[-1].gradient:.2g})",
        remedy="start from He's weights, add batch norm or shortcuts (a ResNet), or take fewer layers",
        serious=True,
        layer=first,
        step=deep[-1].step,
    )


def batch_norm_drift(series: Series) -> Diagnosis | None:
    """Running statistics are not those of the batches: the net that is evaluated is another than the one trained."""
    looks = [look for look in series.looks if look.norms and look.step >= NORM_SETTLED]
    if not looks:
        return None
    last = looks[-1]
    shift = statistics.median(float(norm["shift"] or 0.0) for norm in last.norms)
    scale = statistics.median(float(norm["scale"] or 1.0) for norm in last.norms)
    if shift < SHIFTED and 1 / STRETCHED < scale < STRETCHED:
        return None
    worst = max(last.norms, key=lambda norm: norm["shift"] or 0.0)
    return Diagnosis(
        illness="batch norm drift",
        evidence=f"the running means of {worst['name']} lie {worst['shift'] or 0.0:.2g} deviations from the batches', "
        f"and the batches' deviation is {scale:.2g}× the running one in the middle layer (step {last.step})",
        remedy="give the norms a larger momentum (torch's is 0.1), or larger batches; or freeze them",
        serious=True,
        layer=worst["name"],
        step=last.step,
    )


def decay_too_strong(series: Series) -> Diagnosis | None:
    """Weights have shrunk to a fraction of what they began with."""
    if len(series.looks) < 2:
        return None
    began = {layer["name"]: layer["rms"] for layer in series.looks[0].weights}
    left = [
        (layer["rms"] / began[layer["name"]], layer["name"])
        for layer in series.looks[-1].weights
        if began.get(layer["name"]) and layer["rms"] is not None
    ]
    decay = series.facts.get("weight_decay")
    if not left or not decay or statistics.median(share for share, _ in left) > SHRUNK:
        return None
    share, name = min(left)
    return Diagnosis(
        illness="decay too strong",
        evidence=f"{name}'s weights have shrunk to {share:.1%} of their first size by step {series.looks[-1].step}, "
        f"under a decay of {decay:g}",
        remedy="try --weight-decay 5e-4",
        serious=True,
        layer=name,
        step=series.looks[-1].step,
    )


def _worst_twice(series: Series, measure: str, limit: float) -> tuple[float, Mapping[str, Any], Look] | None:
    """The layer that is worst over its limit in the last look, and was over it in the one before."""
    if len(series.looks) < 2 or series.looks[-1].step < SETTLED:
        return None
    before, last = series.looks[-2:]
    then = {layer["name"]: layer[measure] for layer in before.activations}
    over = [
        (layer[measure], layer)
        for layer in last.activations
        if layer[measure] is not None and layer[measure] >= limit and (then.get(layer["name"]) or 0.0) >= limit
    ]
    if not over:
        return None
    share, layer = max(over, key=lambda one: float(one[0]))
    return float(share), layer, last


def _share_of_first_layers(look: Look) -> float:
    """The gradient of the first three layers' weights (their middle one's) over that of the whole net, biases too."""
    norms = [float(layer["gradient"] or 0.0) for layer in look.weights[:3]]
    return statistics.median(norms) / look.gradient if look.gradient > 0 else 1.0
