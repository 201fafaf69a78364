"""The learning-rate range test: one step at each of a rising series of rates, and the loss on the way.

Smith 2017, "Cyclical learning rates for training neural networks", §3.3, with a geometric series as everybody since.
The rates climb while the net trains, from far too small to too large; the smoothed loss is flat, falls, and explodes.
The rate suggested is a third of the way back, in decades, from where it turns to where it began to fall. It turns at
the last rate at which it is within a tenth of its fall from the bottom: an easy task is at the bottom long before.
"""

import math
from dataclasses import dataclass

import torch

from striate.train.check.finding import Finding
from striate.train.check.subject import Budget, Subject, quietly
from striate.train.optim import build_optimizer

__all__ = ["RangeTest", "range_test", "rates"]

FIRST, LAST = 1e-5, 10.0  # for SGD; Adam's steps are a tenth of the size of the weights at 1e-1 already
FIRST_ADAM, LAST_ADAM = 1e-7, 1.0
STEPS = 90  # 15 a decade
FEWEST = 24  # steps, if there is time for so few only: 4 a decade
SMOOTHING = 0.85  # of the running mean: about 7 steps, half a decade
EXPLODED = 3.0  # times the first loss (LECTURES F2)
FALLEN = 0.97  # of the first loss, at its lowest: a net that learns anything is below


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """The rates, the loss at each, smoothed; the last rate at which it is nearly lowest, and the one suggested.

    Both are None where the loss never fell.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    lowest: float | None
    suggested: float | None
    exploded: float | None  # the first rate at which the loss was over 3× the first


def range_test(subject: Subject, *, seconds: float = 8.0) -> RangeTest:
    """Train a copy of the net by the run's own optimiser, batch size and decay while the rate rises."""
    settings = subject.settings
    first, last = (FIRST, LAST) if settings.optimizer == "sgd" else (FIRST_ADAM, LAST_ADAM)
    net = subject.fresh()
    optimizer = build_optimizer(net, settings)  # the first of a process takes torch seconds, which are no step's
    budget = Budget(seconds)
    task, count = subject.task, len(subject.images)
    size = min(settings.batch_size, count)
    rates: list[float] = []
    losses: list[float] = []
    factor, rate = (last / first) ** (1 / (STEPS - 1)), first
    began: float | None = None
    warm = seconds  # left when the first step was over, which also makes ready what the others find
    with quietly(settings.seed):
        order = torch.randperm(count)
        while rate <= last * 1.0001:
            if len(order) < size:
                order = torch.randperm(count)
            chosen, order = order[:size], order[size:]
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss = task.loss(net(subject.images[chosen]), subject.labels[chosen])
            value = loss.item()
            rates.append(rate)
            losses.append(value)
            began = value if began is None else began
            if not math.isfinite(value) or value > EXPLODED * max(began, task.chance_loss):
                break
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
            if len(rates) == 1:
                warm = budget.left
            if len(rates) == 3:  # as fine a series as there is time for
                each = (warm - budget.left) / 2
                able = max(FEWEST, min(STEPS, int(budget.left / max(each, 1e-9))))
                factor = (last / rate) ** (1 / max(1, min(STEPS - 3, able)))
            rate *= factor
    return read(rates, losses, max(losses[0], task.chance_loss))


def read(rates: list[float], losses: list[float], first: float) -> RangeTest:
    """What a series of losses says. `first`: what the loss began at, at least that of a guess."""
    smooth, mean = [], 0.0
    for i, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * (loss if math.isfinite(loss) else EXPLODED * first)
        smooth.append(mean / (1 - SMOOTHING**i))
    exploded = rates[-1] if not math.isfinite(losses[-1]) or losses[-1] > EXPLODED * first else None
    bottom = min(range(len(smooth)), key=smooth.__getitem__)
    near = smooth[bottom] + 0.1 * (smooth[0] - smooth[bottom])
    if smooth[bottom] >= FALLEN * smooth[0]:
        return RangeTest(
            rates=tuple(rates),
            losses=tuple(losses),
            smooth=tuple(smooth),
            lowest=None,
            suggested=None,
            exploded=exploded,
        )
    # where the fall began: the last rate before the bottom at which less than a tenth of the way was behind
    depth = smooth[0] - smooth[bottom]
    begins = max((i for i in range(bottom) if smooth[0] - smooth[i] < 0.1 * depth), default=0)
    turn = next((i for i in range(bottom, len(smooth)) if smooth[i] > near), len(smooth)) - 1
    low, high = math.log(rates[begins]), math.log(rates[turn])
    suggested = math.exp(high - (high - low) / 3)
    return RangeTest(
        rates=tuple(rates),
        losses=tuple(losses),
        smooth=tuple(smooth),
        lowest=rates[turn],
        suggested=float(f"{suggested:.1e}"),
        exploded=exploded,
    )


def rates(subject: Subject, seconds: float = 8.0) -> Finding:
    """The test as a line of the list: is the run's rate among those at which the loss falls?"""
    found = range_test(subject, seconds=seconds)
    settings = subject.settings
    figures = {
        "rates": list(found.rates),
        "losses": [loss if math.isfinite(loss) else None for loss in found.losses],
        "smooth": list(found.smooth),
        "suggested": found.suggested,
        "lowest": found.lowest,
        "exploded": found.exploded,
        "lr": settings.lr,
    }
    if found.suggested is None or found.lowest is None:
        evidence = f"the loss does not fall at any rate from {found.rates[0]:.0e} to {found.rates[-1]:.0e}"
        remedy = "look at the gradients and at the activations: this net does not learn"
        return Finding(name="rates", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)
    turn = f", explodes at {found.exploded:.2g}" if found.exploded else ""
    evidence = f"try {found.suggested:g} ({settings.optimizer}): the loss falls up to {found.lowest:.2g}{turn}"
    limit = found.exploded or found.lowest * 10
    if settings.lr >= limit:
        remedy = f"--lr {settings.lr:g} is where it explodes: --lr {found.suggested:g}"
        return Finding(name="rates", verdict="warning", evidence=evidence, remedy=remedy, figures=figures)
    if settings.lr < found.suggested / 30:
        remedy = f"--lr {settings.lr:g} would take long: --lr {found.suggested:g}"
        return Finding(name="rates", verdict="warning", evidence=evidence, remedy=remedy, figures=figures)
    return Finding(name="rates", verdict="ok", evidence=evidence, figures=figures)
