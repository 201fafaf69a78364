"""All four plans beside each other as the data grow: learning curves, with intervals over seeds.

A seed draws the training images, the weights of a new head and the noise; every plan is given the same images and the
same number of updates. What `auto` would have taken is chosen from those images alone, before any plan is tried, and
its accuracy is that of the plan it chose.
"""

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError
from striate.pages.curves import Series, line_chart
from striate.pages.wording import plural
from striate.train.progress import Reporter
from striate.train.transfer.plans import PLANS, Plan, choose
from striate.train.transfer.project import Project
from striate.train.transfer.trials import KeptTrials, Trial, kept_in, subject_of

__all__ = ["AUTO", "Comparison", "Point", "Trial", "compare", "curves_chart", "each_trial", "interval"]

AUTO = "auto"
KINDS = {"probe": "a", "few": "c", "more": "d", "scratch": "b"}

INTERVAL = 0.95


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One plan, or auto, with so many images of a class: the mean over seeds and the 95 % interval of that mean."""

    per_class: int
    plan: str
    seeds: int
    mean: float
    low: float
    high: float


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every trial, and what it was of."""

    source: str
    data: str
    part: str
    images: int  # of that part
    steps: int
    trials: tuple[Trial, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Images of a class, ascending."""
        return tuple(sorted({trial.per_class for trial in self.trials}))

    def point(self, per_class: int, plan: str) -> Point:
        """The mean of a plan, or of auto, at one size."""
        found = [
            trial.accuracy
            for trial in self.trials
            if trial.per_class == per_class and trial.plan == (trial.chosen if plan == AUTO else plan)
        ]
        mean, low, high = interval(found)
        return Point(per_class=per_class, plan=plan, seeds=len(found), mean=mean, low=low, high=high)

    def chosen(self, per_class: int) -> dict[Plan, int]:
        """How many seeds auto chose each plan with."""
        picks = {trial.seed: trial.chosen for trial in self.trials if trial.per_class == per_class}
        return {plan: list(picks.values()).count(plan) for plan in PLANS if plan in picks.values()}

    def best(self, per_class: int) -> Point:
        """The plan with the best mean."""
        return max((self.point(per_class, plan) for plan in PLANS), key=lambda point: point.mean)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval by Student's t; the mean alone of a single value.

    >>> tuple(round(value, 3) for value in interval([0.90, 0.92, 0.91, 0.93, 0.89]))
    (0.91, 0.89, 0.93)
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    from scipy.special import stdtrit  # here: it takes a while to load

    half = float(stdtrit(len(values) - 1, (1 + INTERVAL) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def compare(
    project: Project,
    reporter: Reporter,
    *,
    sizes: Sequence[int] = (10, 30, 100),
    seeds: int = 3,
    plans: Sequence[Plan] = PLANS,
    told: Callable[[Trial], None] = lambda trial: None,
    folder: Path | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Carry out every plan at every size, for every seed; `told` hears of each as it ends.

    In a `folder`, where runs then lie, trials are kept as they end, and those that it has are not done again, which
    `note` is told. Sizes that some class has too few images for are left out. Raises StriateError where that is all of
    them, and for a folder that holds something else (`kept_in`).
    """
    counts = np.bincount(project.data.train.labels, minlength=len(project.data.classes))
    if not sizes or min(sizes) < 1 or seeds < 1:
        raise StriateError(f"sizes {tuple(sizes)} and {seeds} seeds: give 1 or more of each")
    if min(sizes) > counts.min():
        fewest = project.data.classes[int(counts.argmin())]
        raise StriateError(
            f"sizes from {min(sizes)} on: class {fewest!r} of {project.data.name} has "
            f"{plural(int(counts.min()), 'training image')}; give --sizes of at most that"
        )
    part, exam = project.exam
    sizes = [size for size in sizes if size <= counts.min()]
    with contextlib.ExitStack() as stack:
        kept = None
        if folder is not None:
            kept = stack.enter_context(kept_in(folder, subject_of(project)))
            project = dataclasses.replace(project, settings=project.settings.replace(output=str(folder), name=None))
        had = set() if kept is None else set(kept.known)
        if had:
            note(f"{folder} has {plural(len(had), 'trial')} already, which are not done again")
        trials = []
        for trial in each_trial(project, reporter, sizes, range(seeds), plans, kept):
            trials.append(trial)
            if trial.key not in had:
                told(trial)
    return Comparison(
        source=project.source.name,
        data=project.data.name,
        part=part,
        images=len(exam),
        steps=project.steps,
        trials=tuple(trials),
    )


def each_trial(
    project: Project,
    reporter: Reporter,
    sizes: Sequence[int],
    seeds: Sequence[int],
    plans: Sequence[Plan],
    kept: KeptTrials | None = None,
) -> Iterator[Trial]:
    """One after another; those that are kept as they are, and the others kept.

    Of a run that is done only its config, log and report stay: nobody asks 60 models.
    """
    for per_class in sizes:
        for seed in seeds:
            known = {plan: kept.known.get((per_class, seed, plan)) for plan in plans} if kept is not None else {}
            if plans and all(known.get(plan) for plan in plans):
                yield from (trial for trial in known.values() if trial is not None)
                continue
            drawn = project.subset(per_class, seed)
            chosen = choose(project.evidence(drawn)).plan
            for plan in plans:
                trial = known.get(plan)
                if trial is None:
                    if kept is not None:  # a trial that was cut short is done anew
                        shutil.rmtree(kept.path.with_name(_run_name(per_class, seed, plan)), ignore_errors=True)
                    trial = _trial(project, reporter, per_class, seed, plan, drawn, chosen)
                    if kept is not None:
                        kept.add(trial)
                yield trial


def _run_name(per_class: int, seed: int, plan: Plan) -> str:
    return f"{plan}-{per_class}-{seed}"


def _trial(
    project: Project,
    reporter: Reporter,
    per_class: int,
    seed: int,
    plan: Plan,
    drawn: NDArray[np.int64],
    chosen: Plan,
) -> Trial:
    done = project.carry_out(plan, reporter, chosen=drawn, seed=seed, name=_run_name(per_class, seed, plan))
    begun = [] if plan in ("probe", "scratch") else [Path(str(done.folder.settings().pretrained))]
    for weights in (*done.folder.path.glob("*.safetensors"), *begun):
        weights.unlink(missing_ok=True)
    shutil.rmtree(done.folder.checkpoints, ignore_errors=True)
    return Trial(per_class=per_class, seed=seed, plan=plan, accuracy=done.accuracy, seconds=done.seconds, chosen=chosen)


def curves_chart(compared: Comparison, key: str = "curves") -> str:
    """Accuracy against images of a class, a curve and a band for each plan, as SVG."""
    series = []
    for plan, kind in KINDS.items():
        points = [compared.point(size, plan) for size in compared.sizes]
        series.append(
            Series(
                name=plan,
                x=compared.sizes,
                y=[point.mean for point in points],
                kind=kind,
                low=[point.low for point in points],
                high=[point.high for point in points],
            )
        )
    return line_chart(
        key, "Learning curves", series, x_name="images of a class", y_name="images right", shares=True, x_log=True
    )
