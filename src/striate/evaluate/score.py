"""How a trained net, or several together, do on data that chose nothing about them.

The model file carries its preprocessing, so the images are read exactly as they were in training.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError
from striate.evaluate.calibration import Calibration, fit_temperature, temperature_note, tempered
from striate.evaluate.exam import Exam
from striate.evaluate.marginal import Marginal
from striate.evaluate.panel import Panel
from striate.evaluate.uncertainty import Uncertainty
from striate.evaluate.views import Plan, Scales
from striate.plain import check_whole
from striate.tasks import Classification, ClassificationMetrics

__all__ = ["AT_HOME", "Evaluation", "Sitting", "evaluate", "measure", "plan_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sitting:
    """How models answer an exam, whatever they look at: `samples` draws of each net, with a `seed`, tempered where they
    `calibrate`; and on what machine.

    Raises StriateError for a number that is none, or too small: fewer than no workers would be waited for for ever.
    """

    samples: int = 0
    seed: int = 0
    calibrate: bool = False
    batch_size: int = 64
    workers: int = 2
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("samples", 0), ("seed", 0), ("batch_size", 1), ("workers", 0)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), least))


AT_HOME = Sitting()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Measures of one part of a data set.

    seconds: of reading, preprocessing and computing all of it; passes: how many images went through a net for that.
    temperature: what the probabilities were tempered with, fitted on the validation part; `untempered` the calibration
    before. uncertainty: before it, too, since what the draws disagree about is theirs and not the average's.
    """

    model: Path
    models: tuple[str, ...]
    data: str
    part: str
    classes: tuple[str, ...]
    metrics: ClassificationMetrics
    seconds: float
    plan: Plan
    views: int
    samples: int
    passes: int
    probabilities: NDArray[np.float64]  # [N, K]
    labels: NDArray[np.int64]  # [N]
    calibration: Calibration
    uncertainty: Uncertainty
    temperature: float | None
    untempered: Calibration | None
    notes: tuple[str, ...]


def evaluate(
    model: str | Path | Sequence[str | Path],
    data: str | None = None,
    *,
    part: str | None = None,
    views: str | Plan | None = None,
    crops: int = 1,
    scales: Scales = 1,
    samples: int = 0,
    seed: int = 0,
    checkpoints: int | None = None,
    swa: int | None = None,
    best: int | None = None,
    calibrate: bool = False,
    data_dir: str | None = None,
    batch_size: int = 64,
    workers: int = 2,
    device: str = "cpu",
    classes: Sequence[str] = (),
    offline: bool = False,
) -> Evaluation:
    """Measure a model file, or a run's best model, on a part of its own data or of others.

    Several models are an ensemble: their probabilities are averaged. `checkpoints` puts so many of a run's best in
    place of its one model; `swa` the average of the weights of its newest; `best` so many of the best trials in
    place of a search's folder. `views` names what is averaged over ("none", "flip", "5", "10", "50", "dense");
    `crops` and `scales` say it in numbers. `samples` draws so many nets from each, by leaving its dropout (DropConnect,
    stochastic depth, swapout) on. `calibrate` fits a temperature on the validation part, and tempers the probabilities
    by it.

    `data` defaults to the run's own; `part` ("train", "val", "test") defaults to the one that chose least: test, else
    validation. Other data need the model's class names, in any order, and may lack some; `classes` gives it others.
    `offline` fetches no weights. Computes in float32, averages in float64.

    Raises StriateError when there is no such model, part or class, and where what is asked for cannot be had.
    """
    sitting = Sitting(
        samples=samples, seed=seed, calibrate=calibrate, batch_size=batch_size, workers=workers, device=device
    )
    plan = plan_of(views, crops, scales)
    panel = Panel.of(
        model,
        data,
        checkpoints=checkpoints,
        swa=swa,
        best=best,
        data_dir=data_dir,
        classes=classes,
        offline=offline,
        workers=workers,
    )
    return measure(panel, part, plan, sitting)


def measure(panel: Panel, part: str | None, plan: Plan, sitting: Sitting = AT_HOME) -> Evaluation:
    """What `evaluate` says of models that are loaded and data that are open."""
    name, images = panel.exam.part(part)
    marginal = Marginal(
        panel.members,
        plan,
        samples=sitting.samples,
        seed=sitting.seed,
        batch_size=sitting.batch_size,
        device=sitting.device,
    )
    temperature = _temperature(panel.exam, name, marginal, sitting.workers) if sitting.calibrate else None
    answers = marginal.over(images, workers=sitting.workers)
    probabilities, labels = answers.probabilities, images.labels
    before = Calibration.of(probabilities, labels)
    if temperature is not None:
        probabilities = tempered(probabilities, temperature)
    note = None if temperature is None else temperature_note(temperature)
    return Evaluation(
        model=Path(panel.members[0].name),
        models=tuple(member.name for member in panel.members),
        data=panel.exam.settings.data,
        part=name,
        classes=panel.exam.classes,
        metrics=Classification(panel.exam.classes).metrics(probabilities, labels),
        seconds=answers.seconds,
        plan=plan,
        views=marginal.views,
        samples=sitting.samples,
        passes=answers.passes,
        probabilities=probabilities,
        labels=labels,
        calibration=before if temperature is None else Calibration.of(probabilities, labels),
        uncertainty=answers.uncertainty,
        temperature=temperature,
        untempered=None if temperature is None else before,
        notes=(*panel.notes(name), *marginal.notes, *([] if note is None else [note])),
    )


def _temperature(exam: Exam, judged: str, marginal: Marginal, workers: int) -> float:
    """Fitted on the validation part, for the very average that it is to mend."""
    if exam.data.val is None:
        raise StriateError(f"data {exam.data.name} has no validation part to fit a temperature to; leave out calibrate")
    if judged == "val":
        raise StriateError(
            "a temperature fitted on the validation part cannot be judged on it; evaluate another part, "
            "or leave out calibrate"
        )
    _, val = exam.part("val")
    return fit_temperature(marginal.over(val, workers=workers).probabilities, val.labels)


def plan_of(views: str | Plan | None, crops: int, scales: Scales) -> Plan:
    """The plan that a name or numbers ask for. Raises StriateError when they are both given."""
    if views is None:
        return Plan(crops=crops, scales=scales)
    if (crops, scales) != (1, 1):
        raise StriateError(f"views {views!r} say what crops and scales would say, too; give one or the other")
    return views if isinstance(views, Plan) else Plan.named(views)
