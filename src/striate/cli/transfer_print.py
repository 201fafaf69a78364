"""What `striate transfer` prints: for people, and for programs."""

import dataclasses
from typing import TYPE_CHECKING, Any

from striate.cli.table import print_table
from striate.pages.wording import plural

if TYPE_CHECKING:
    from striate.train.transfer.comparison import Comparison, Trial
    from striate.train.transfer.evidence import Evidence
    from striate.train.transfer.ladder import Ladder
    from striate.train.transfer.plans import Choice
    from striate.train.transfer.project import Done

__all__ = [
    "comparison_as_json",
    "done_as_json",
    "ladder_as_json",
    "print_comparison",
    "print_evidence",
    "print_ladder",
    "trial_words",
]


def print_evidence(evidence: "Evidence", choice: "Choice | None") -> None:
    """What every layer sees of the training images, and the plan that follows from it."""
    amount = evidence.amount
    print(f"{amount.images:,} training images of {amount.classes} classes, {amount.least:,} of the smallest")
    columns = ["layer", "κ, ten of a class", "right, left out", "apart"]
    rows = [
        [place.place, f"{place.kappa:.2f}", f"{place.accuracy:.1%}", f"{place.apart:.2f}"] for place in evidence.places
    ]
    if evidence.is_known:
        print_table(columns, rows, right=columns[1:])
        print(f"the source's own answers: κ {evidence.answers:.2f}")
    if choice is not None:
        print(f"plan {choice.plan}: {choice.reason}")


def print_ladder(ladder: "Ladder", data: str, part: str, images: int) -> None:
    """Layer by classifier, mean ± deviation over splits, in per cent."""
    drawn = f"{plural(ladder.per_class or 0, 'image')} of each class"
    print(f"{data}, {part} part: {plural(images, 'image')}; {plural(ladder.splits, 'split')} of {drawn}")
    columns = ["layer", "features", *ladder.classifiers]
    rows = []
    for place in ladder.places:
        cells = [ladder.cell(place, classifier) for classifier in ladder.classifiers]
        rows.append([place, cells[0].features, *(f"{100 * c.mean:.1f} ± {100 * c.deviation:.1f}" for c in cells)])
    print_table(columns, rows, right=columns[1:])
    best = ladder.best
    print(f"best: {best.classifier} on {best.place}, {best.mean:.1%}")


def print_comparison(compared: "Comparison") -> None:
    """A line for each size: every plan's mean and the 95 % interval of it, in per cent."""
    from striate.train.transfer.comparison import AUTO
    from striate.train.transfer.page import chosen_words, interval_words
    from striate.train.transfer.plans import PLANS

    print(
        f"{compared.source} to {compared.data}, {compared.part} part: {compared.images:,} images, "
        f"{compared.steps:,} updates each"
    )
    columns = ["images of a class", *PLANS, AUTO, "auto took"]
    rows = [
        [
            str(size),
            *(interval_words(compared.point(size, plan)) for plan in (*PLANS, AUTO)),
            chosen_words(compared, size),
        ]
        for size in compared.sizes
    ]
    print_table(columns, rows, right=columns[:-1])


def trial_words(trial: "Trial") -> str:
    """One line as a trial ends."""
    auto = "  (auto's choice)" if trial.plan == trial.chosen else ""
    drawn = f"{trial.per_class} of a class, seed {trial.seed}"
    return f"{drawn}, {trial.plan}: {trial.accuracy:.1%}, {trial.seconds:.0f} s{auto}"


def ladder_as_json(ladder: "Ladder", part: str, images: int) -> dict[str, Any]:
    """All cells with every split's accuracy, shares of 1."""
    cells = [dataclasses.asdict(cell) | {"mean": cell.mean, "deviation": cell.deviation} for cell in ladder.cells]
    return {"part": part, "images": images, "per_class": ladder.per_class, "splits": ladder.splits, "cells": cells}


def comparison_as_json(compared: "Comparison") -> dict[str, Any]:
    """Every trial, and the means with their intervals."""
    from striate.train.transfer.comparison import AUTO
    from striate.train.transfer.plans import PLANS

    told = dataclasses.asdict(compared)
    points = [dataclasses.asdict(compared.point(size, plan)) for size in compared.sizes for plan in (*PLANS, AUTO)]
    return told | {"points": points}


def done_as_json(done: "Done", evidence: "Evidence", choice: "Choice | None") -> dict[str, Any]:
    """What was measured, chosen and reached."""
    return {
        "plan": done.plan,
        "reason": None if choice is None else choice.reason,
        "part": done.part,
        "images": done.samples,
        "accuracy": done.accuracy,
        "seconds": done.seconds,
        "run": str(done.folder.path),
        "model": str(done.folder.model),
        "what": done.told,
        "training_images": evidence.amount.images,
        "smallest_class": evidence.amount.least,
        "answers": evidence.answers if evidence.is_known else None,
        "places": [dataclasses.asdict(place) for place in evidence.places] if evidence.is_known else [],
    }
