"""What the loss of the steps shows, with the size of the updates beside it."""

import math
import statistics

from striate.pages.wording import plural
from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.series import Look, Series

__all__ = ["forgets", "loss_explodes", "not_a_number", "rate_too_low", "updates_too_large"]

TOO_HIGH = "learning rate too high"  # said by three rules
RISE = 3.0  # times its first value: the lectures' sign of an explosion (LECTURES F2), with which a run ends, too
BROKEN_RATIO = 0.1  # of update to weight: a layer that forgets itself in ten steps, a hundred times the rule of thumb
GUESS = 0.97  # of the loss of a guess: above it nothing has been learnt
BEGUN = 20  # steps: an output layer, which begins with small weights, may change by a tenth in each of the first
SMALL_RATIO = 1e-4  # a tenth of the rule of thumb of 1e-3, at the rate's highest: weights move by 1 % in 100 steps
FORGOTTEN = 1.5  # times its lowest value, to the end: what sound epochs scatter by is a few hundredths of it
LOST = 0.15  # of the training images, right at the best epoch and wrong since: a tiny loss may well double
LEARNT = 0.9  # of the training images right: whoever gets there was not too slow


def not_a_number(series: Series) -> Diagnosis | None:
    """NaN or infinity in the loss, with where it is seen first."""
    at = next((step.step for step in series.steps if not math.isfinite(step.loss)), None)
    if series.sick and isinstance(series.sick["loss"], str):
        at = int(series.sick["step"])
    if at is None:
        return None
    calm = max((step.loss for step in series.steps[-5:] if math.isfinite(step.loss)), default=None)
    last = series.looks[-1].ratio if series.looks else None
    if at > 1 and last is not None and last > BROKEN_RATIO:
        return None  # the rate broke it: `loss_explodes` has the better remedy
    before = f", {calm:.3g} before" if calm is not None else ", from the start"
    remedy = (
        "check the images and the weights it starts from (--pretrained)"
        if at == 1
        else "try --clip-grad 1, and --precision fp32 or bf16 where it is fp16"
    )
    return Diagnosis(
        illness="not a number",
        evidence=f"the loss stopped being a number at step {at}{before}",
        remedy=remedy,
        serious=True,
        step=at,
    )


def loss_explodes(series: Series) -> Diagnosis | None:
    """The loss rose to several times what it began with: the rate is too high."""
    risen = _risen(series)
    if risen is None:
        return None
    factor, steps = risen
    rose = "grew beyond all numbers" if math.isinf(factor) else f"rose {factor:.3g}×"
    evidence = f"loss {rose} in {plural(steps, 'step')}"
    if (ratio := _largest_ratio(series)) > BROKEN_RATIO:
        evidence += f", where one update changed the weights by {_share(ratio)} (0.1 % is usual)"
    return Diagnosis(illness=TOO_HIGH, evidence=evidence, remedy=_lower(series), serious=True)


def updates_too_large(series: Series) -> Diagnosis | None:
    """Nothing is learnt, and updates are a good part of the weights: the rate is too high."""
    chance, epochs = series.facts.get("chance_loss"), series.epochs
    looks = [look for look in series.looks if look.step >= BEGUN]
    if not looks or _shrunk(series.looks[0], looks[-1]):
        return None  # large beside the weights because decay takes these: another illness
    ratio = max(look.ratio or 0.0 for look in looks)
    if not chance or len(epochs) < 2 or ratio <= BROKEN_RATIO or epochs[-1].train_loss <= GUESS * chance:
        return None
    evidence = (
        f"after {len(epochs)} epochs the loss is {epochs[-1].train_loss:.3g}, that of a guess ({chance:.3g}), "
        f"and one update changed the weights by {_share(ratio)} (0.1 % is usual)"
    )
    return Diagnosis(illness=TOO_HIGH, evidence=evidence, remedy=_lower(series), serious=True)


def forgets(series: Series) -> Diagnosis | None:
    """What had been learnt was lost on the way, and has not come back: one step at the height of the rate is enough."""
    epochs = series.epochs
    if len(epochs) < 4:  # two to learn in and two to have lost it
        return None
    last = epochs[-max(2, len(epochs) // 3) :]
    best = min(epochs, key=lambda e: e.train_loss)
    loss, right = (statistics.fmean(of) for of in zip(*((e.train_loss, e.train_accuracy) for e in last), strict=True))
    if not (loss > FORGOTTEN * best.train_loss and right < best.train_accuracy - LOST):  # NaN is another illness
        return None
    return Diagnosis(
        illness=TOO_HIGH,
        evidence=f"epoch {best.epoch} had {best.train_accuracy:.0%} of the training images right, with a loss of "
        f"{best.train_loss:.3g}; it was lost after that, and the last {len(last)} epochs have {right:.0%}, with "
        f"{loss:.3g}",
        remedy=_lower(series),
        step=best.step,
    )


def rate_too_low(series: Series) -> Diagnosis | None:
    """Updates are tiny at the rate's highest, and the net is far from having learnt its images."""
    ratios = [look.ratio for look in series.looks if look.ratio is not None]
    if len(series.epochs) < 3 or len(ratios) < 2 or series.epochs[-1].train_accuracy > LEARNT:
        return None
    first, last = series.epochs[0], series.epochs[-1]
    if max(ratios) > SMALL_RATIO or last.train_loss > first.train_loss:
        return None
    fell = 1 - last.train_loss / first.train_loss
    rate = series.facts.get("lr")
    return Diagnosis(
        illness="learning rate too low",
        evidence=f"one update changes the weights by {max(ratios):.1g} of their size (1e-3 is usual), and in "
        f"{last.epoch - first.epoch} epochs the loss fell by {fell:.0%} only, to {last.train_loss:.3g}",
        remedy=f"try --lr {rate * 1e-3 / max(ratios):.2g}" if rate and max(ratios) else "try a hundred times the rate",
    )


def _shrunk(first: Look, last: Look) -> bool:
    """Whether most layers' weights have lost half of their size."""
    began = {layer["name"]: layer["rms"] for layer in first.weights}
    pairs = [(layer["rms"], began.get(layer["name"])) for layer in last.weights]
    shares = [now / then for now, then in pairs if now is not None and then]
    return bool(shares) and sorted(shares)[len(shares) // 2] < 0.5


def _largest_ratio(series: Series) -> float:
    """Of update to weight, of the middle layer, in any look."""
    return max((look.ratio or 0.0 for look in series.looks), default=0.0)


def _share(ratio: float) -> str:
    """Of the weights, that an update is: per cent, or how many times their size where that is plainer.

    >>> _share(0.84), _share(1.576e8)
    ('84%', '1.6e+08 times their size')
    """
    return f"{ratio:.0%}" if ratio < 10 else f"{ratio:.2g} times their size"


def _lower(series: Series) -> str:
    rate = series.facts.get("lr")
    return f"try {f'--lr {rate / 10:.3g}' if rate else 'a tenth of the rate'}, or a warm-up (--warmup-epochs 1)"


def _risen(series: Series) -> tuple[float, int] | None:
    """By what factor over its first value the loss rose, and within how many steps; None where it did not."""
    if not series.steps:
        return None
    first = series.steps[0]
    reference = max(first.loss, series.facts.get("chance_loss", 0.0))
    peaks = [(step.loss, step.step) for step in series.steps if math.isfinite(step.loss)]
    peaks += [(epoch.train_loss, epoch.step) for epoch in series.epochs if math.isfinite(epoch.train_loss)]
    if series.sick and not isinstance(series.sick["loss"], str):
        peaks.append((series.sick["loss"], series.sick["step"]))
    if series.sick and isinstance(series.sick["loss"], str) and series.sick["step"] > 1:
        peaks.append((math.inf, series.sick["step"]))
    loss, at = next(((loss, at) for loss, at in peaks if loss > RISE * reference), (0.0, 0))
    if not loss:
        return None
    before = [step for step in series.steps if step.step <= at and not math.isnan(step.loss)]
    lowest = min(before, key=lambda step: step.loss)
    floor = lowest.loss or reference  # a net that is sure of all its images has a loss of 0
    return loss / floor if floor else math.inf, max(1, at - lowest.step)
