"""The sanity list, in the order in which things break: what is seen, how it begins, what it learns from, how fast."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

import torch

from striate.errors import StriateError, UnknownName, unknown
from striate.train.check.agreement import agreement
from striate.train.check.beginning import activations, initial_loss, inputs
from striate.train.check.finding import Finding
from striate.train.check.gradients import check_gradients
from striate.train.check.labels import labels_match
from striate.train.check.overfit import overfit
from striate.train.check.rates import rates
from striate.train.check.regularisation import regularisation
from striate.train.check.subject import Subject, quietly

__all__ = ["CHECKS", "chosen", "gradients", "run"]

Check = Callable[[Subject, float], Finding]

IMAGES = 4  # for the gradients: batch norms need more than two, and differences need no more
LINES = 3  # a tensor: one direction, two values
EVALUATIONS = 5.0  # a line, with the odd one that has to try several steps


def gradients(subject: Subject, seconds: float) -> Finding:
    """Gradients against differences, in as many tensors as there is time for, spread over the net."""
    net = subject.fresh()
    images, labels = subject.batch(IMAGES)
    names = [name for name, p in net.named_parameters() if p.requires_grad]
    few = _as_many(names, max(2, int(seconds / (_cost(subject) * LINES * EVALUATIONS))))
    found = check_gradients(
        net,
        images,
        loss=lambda scores: torch.nn.functional.cross_entropy(scores, labels),
        directions=1,
        coordinates=2,
        seed=subject.settings.seed,
        wrt_inputs=False,
        only=few,
    )
    figures = {
        "error": found.error,
        "kinks": found.kinks,
        "tensors": len(found.rows),
        "parameters": len(names),
        "rows": [dataclasses.asdict(row) | {"verdict": row.verdict} for row in found.rows],
    }
    kinks = f", {found.kinks} kinks" if found.kinks else ""
    evidence = f"within {found.error:.1g} of differences in {len(found.rows)} of {len(names)} tensors{kinks}"
    if found.ok:
        return Finding(name="gradients", verdict="ok", evidence=evidence, figures=figures)
    row = next(row for row in found.rows if row.wrong)
    wrong = row.wrong[0]
    place = ", ".join(map(str, wrong.index))
    evidence = f"{row.name}[{place}] has {wrong.analytic:.4g}, the slope is {wrong.numeric:.4g}"
    remedy = "look at the backward pass of what computes with it"
    return Finding(name="gradients", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)


@torch.no_grad()
def _cost(subject: Subject) -> float:
    """Seconds of one evaluation in float64."""
    net = subject.fresh().double()
    images, _ = subject.batch(IMAGES)
    with quietly(0):
        net(images.double())  # the first of a process makes ready what the others find
        started = time.perf_counter()
        net(images.double())
    return time.perf_counter() - started


def _as_many(names: list[str], count: int) -> list[str]:
    """`count` of them, evenly spread, the first and the last among them."""
    if count >= len(names):
        return names
    return [names[round(i * (len(names) - 1) / max(1, count - 1))] for i in range(count)]


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "inputs": lambda subject, _: inputs(subject),
        "labels": lambda subject, _: labels_match(subject),
        "activations": lambda subject, _: activations(subject),
        "loss": lambda subject, _: initial_loss(subject),
        "decay": lambda subject, _: regularisation(subject),
        "modes": lambda subject, _: agreement(subject),
        "gradients": gradients,
        "overfit": overfit,
        "rates": rates,
    }
)


def chosen(only: Collection[str] = (), skip: Collection[str] = ()) -> list[str]:
    """The names of the checks to run, in their order. Raises StriateError for a name that is none, and for no check."""
    for name in (*only, *skip):
        if name not in CHECKS:
            raise UnknownName(unknown("check", name, CHECKS))
    left = [name for name in CHECKS if (not only or name in only) and name not in skip]
    if not left:
        raise StriateError("no check is left to run: all of --only are in --skip")
    return left


def run(
    subject: Subject, *, only: Collection[str] = (), skip: Collection[str] = (), seconds: float = 5.0
) -> Iterator[Finding]:
    """The findings, one after another. `seconds`: what each check that could go on for long may take."""
    for name in chosen(only, skip):
        started = time.perf_counter()
        found = CHECKS[name](subject, seconds)
        yield dataclasses.replace(found, seconds=time.perf_counter() - started)
