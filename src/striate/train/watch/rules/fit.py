"""What training and validation show side by side, epoch by epoch."""

import math
import statistics
from collections.abc import Sequence

from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.series import Epoch, Series

__all__ = ["labels_do_not_fit", "overfitting", "plateau", "underfitting", "validation_better"]

ENOUGH = 6  # epochs before which curves say little
FLAT = 0.03  # relative fall of the training loss over the last third of the run: less is standing still
POOR = 0.85  # of the training images right: a net that stands still below it could not, or was not let
GAP = 0.15  # accuracy between training and validation that is worth a word, if the validation images can tell it
RISEN = 0.10  # of the lowest validation loss: what it rises by between epochs without meaning anything
BETTER = 0.15  # accuracy by which validation may beat training under dropout and noise, as it usually does
HIGH = 0.5  # of the highest rate: a rate that has not come down
NOTHING = 0.95  # of the loss of a guess: nothing to speak of has been learnt
LEARNT = 0.95  # of the training images right: nothing left to stand still before
DEVIATIONS = 3.0  # of a share of val images around what it would be by chance: less says nothing


def labels_do_not_fit(series: Series) -> Diagnosis | None:
    """Nothing is learnt that holds for other images, although the net can and does move."""
    last, chance = _last(series), series.facts.get("chance_loss")
    if len(last) < 2 or series.epochs[-1].epoch < ENOUGH or not chance:
        return None
    commonest = series.facts.get("commonest", 0.0)
    train, held = _mean([e.train_accuracy for e in last]), _mean([e.val_accuracy for e in last])
    reach = commonest + _by_chance(series, commonest)
    if held is None or train is None or held > reach or reach > (1 + commonest) / 2:
        return None  # the last: so few validation images could not tell a good net from a guess
    end = last[-1]
    learnt = train > (1 + commonest) / 2  # half of the way from a constant answer to all
    if not learnt and end.train_loss < NOTHING * chance:
        return None  # on its way
    evidence = (
        f"training gets {train:.0%} right and validation {held:.0%}, what one constant answer reaches ({commonest:.0%})"
        if learnt
        else f"after {end.epoch} epochs the loss is {end.train_loss:.3g}, that of a guess ({chance:.3g}), "
        f"and {train:.0%} of the training images are right"
    )
    return Diagnosis(
        illness="labels do not fit the images",
        evidence=evidence,
        remedy="look whether labels are shuffled or shifted (striate data show DATA)",
        serious=True,
        step=end.step,
    )


def overfitting(series: Series) -> Diagnosis | None:
    """Training goes on getting better, validation does not, and they are far apart."""
    epochs = [e for e in series.epochs if e.val_accuracy is not None and e.val_loss is not None]
    if len(epochs) < ENOUGH:
        return None
    last = epochs[-max(2, len(epochs) // 4) :]
    train, held = _mean([e.train_accuracy for e in last]), _mean([e.val_accuracy for e in last])
    assert train is not None
    assert held is not None
    if not _leads(series, train, held, GAP):
        return None
    lowest = min(epochs, key=lambda e: e.val_loss or math.inf)
    now = _mean([e.val_loss for e in last])
    assert now is not None
    assert lowest.val_loss is not None
    risen = now > (1 + RISEN) * lowest.val_loss
    since = (
        lowest.epoch if risen else next(e.epoch for e in epochs if e.train_accuracy - (e.val_accuracy or 0) > GAP / 2)
    )
    loss = f", where its loss was {lowest.val_loss:.3g} (now {now:.3g})" if risen else ""
    more = "more decay" if series.facts.get("noise") else "more noise (--policy resnet or strong), more decay"
    fewer = (
        "fewer parameters that learn (--freeze), or more images"
        if series.facts.get("pretrained")
        else "fewer parameters, more images, or a trained net to start from (striate transfer)"
    )
    return Diagnosis(
        illness="overfitting",
        evidence=f"since epoch {since}{loss}; training gets {train:.0%} right, validation {held:.0%}",
        remedy=f"{more}, {fewer}; --patience 5 ends it in time",
        step=lowest.step if risen else None,
    )


def validation_better(series: Series) -> Diagnosis | None:
    """Validation is much better than training, to the end."""
    last = _last(series)
    if series.facts.get("mixed") or series.facts.get("val", 0) == 0 or len(series.epochs) < ENOUGH:
        return None  # mixed images have no single right answer to compare by
    train, held = _mean([e.train_accuracy for e in last]), _mean([e.val_accuracy for e in last])
    if train is None or held is None or not _leads(series, held, train, BETTER):
        return None
    dropout = series.facts.get("dropout", 0.0)
    cause = (
        f"dropout of {dropout:g} is on while training: try half of it"
        if dropout >= 0.5
        else "too much noise or dropout while training, wrong labels in the training part, or training images that "
        "leaked into validation"
    )
    return Diagnosis(
        illness="validation better than training",
        evidence=f"validation gets {held:.0%} right and training {train:.0%}, to the end",
        remedy=cause,
    )


def plateau(series: Series) -> Diagnosis | None:
    """Everything stands still although the rate is still high."""
    last = _last(series)
    if len(last) < 4 or _fell(last) > FLAT or max(e.train_accuracy for e in last) > LEARNT:
        return None
    highest = max(e.learning_rate for e in series.epochs)
    if last[-1].learning_rate < HIGH * highest:
        return None
    held = [e.val_accuracy for e in series.epochs if e.val_accuracy is not None]
    recent = [e.val_accuracy for e in last if e.val_accuracy is not None]
    if held and max(recent) > max(held[: -len(recent)], default=0.0) + 0.02:  # two points: still going somewhere
        return None
    return Diagnosis(
        illness="plateau",
        evidence=f"in the last {len(last)} epochs the training loss stayed at {last[-1].train_loss:.3g} "
        f"(it fell by {max(0.0, _fell(last)):.1%}) at a rate of {last[-1].learning_rate:.3g}",
        remedy="let the rate fall: --schedule cosine, or plateau, or a tenth of it from here",
        step=last[-1].step,
    )


def underfitting(series: Series) -> Diagnosis | None:
    """Everything has stopped far from right, and training is no better than validation."""
    last = _last(series)
    if len(series.epochs) < ENOUGH or _fell(last) > FLAT or series.facts.get("mixed"):
        return None
    train, held = _mean([e.train_accuracy for e in last]), _mean([e.val_accuracy for e in last])
    if train is None or train > POOR or (held is not None and held > POOR):
        return None
    said = f", validation {held:.0%}" if held is not None else ""
    return Diagnosis(
        illness="underfitting",
        evidence=f"training stopped at {train:.0%} right{said}: in the last {len(last)} epochs its loss fell by "
        f"{max(0.0, _fell(last)):.1%}",
        remedy="a larger net, less decay, dropout or noise, or a higher rate for longer",
    )


def _leads(series: Series, ahead: float, behind: float, least: float) -> bool:
    """Whether one share of right answers is ahead of another by `least`, and by more than chance explains."""
    return ahead - behind >= max(least, _by_chance(series, (ahead + behind) / 2))


def _by_chance(series: Series, share: float) -> float:
    """How far from `share` so few validation images may be by chance alone (binomial)."""
    return DEVIATIONS * math.sqrt(share * (1 - share) / max(1, series.facts.get("val", 0)))


def _last(series: Series) -> Sequence[Epoch]:
    """The last third of the epochs."""
    return series.epochs[-max(1, len(series.epochs) // 3) :]


def _fell(epochs: Sequence[Epoch]) -> float:
    """By what share the training loss fell, from the mean of the first half to that of the second."""
    losses = [epoch.train_loss for epoch in epochs]
    half = max(1, len(losses) // 2)
    before, after = statistics.fmean(losses[:half]), statistics.fmean(losses[-half:])
    return 1 - after / before if before > 0 else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
