"""The trials of a search in its storage: put there, taken, told, and taken back from the dead.

A stage is one Optuna study, `NAME/1`, `NAME/2`, …: its trials are of equal length, so that they can be compared and
pruned by each other. Whoever opens a stage puts all its trials into the queue at once; a process takes one after
another, in order. While it works, it owns the trial and shows a pulse; a trial whose owner is gone goes back into the
queue under its own number. So nothing is lost but what had been computed since the trial's last checkpoint, and the
number of trials is exact, however many processes come and go.
"""

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from striate.search.process import gone
from striate.search.space import Choices, Dimension, Space, space_from, written

__all__ = ["OUTCOMES", "Ledger", "Record", "Taken"]

OUTCOMES = ("waiting", "running", "finished", "pruned", "exploded", "failed")
TRIES = 3  # a trial whose worker was killed so often, no epoch further each time, is given up: it may be the killer
FILL_SECONDS = 20.0  # since another process put a trial into a stage, before doing it for it: each takes milliseconds
_FINAL = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "exploded": TrialState.PRUNED}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a trial. value: its best validation accuracy; loss: at that epoch; curve: accuracy by epoch."""

    stage: int  # from 0
    number: int  # from 0
    values: dict[str, Any]
    outcome: str
    value: float | None = None
    loss: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    cause: str = ""
    owner: str = ""
    key: str = ""  # what its folder is called

    @property
    def name(self) -> str:
        """Stage and number as people count."""
        return f"{self.stage + 1}.{self.number + 1}"

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: accuracy, then loss."""
        return (
            -(self.value if self.value is not None else -math.inf),
            self.loss if self.loss is not None else math.inf,
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.outcome not in ("waiting", "running")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A trial that a process is at work on."""

    trial: optuna.Trial
    trial_id: int
    stage: int
    number: int
    values: dict[str, Any]
    told: int  # epochs already reported, by an earlier try
    owner: str

    @property
    def key(self) -> str:
        """What its folder is called.

        >>> Taken(trial=None, trial_id=9, stage=0, number=6, values={}, told=0, owner="").key
        'stage1-0007'
        """
        return _key(self.stage, self.number)


@final
class Ledger:
    """The search called `name` in a storage."""

    def __init__(self, storage: BaseStorage, name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage, self.name = storage, name
        self._studies: dict[int, optuna.Study] = {}
        self._spaces: dict[int, dict[str, Dimension]] = {}
        self._pulses: dict[int, tuple[Any, float]] = {}  # trial → its last pulse, and when it was first seen

    # ------------------------------------------------------------------------------------------------ stages

    def plan(self) -> str | None:
        """The plan that the search was begun with, as text; None when the storage does not know the search."""
        names = {study.study_name for study in self._storage.get_all_studies()}
        if self._study_name(0) not in names:
            return None
        told = self._study(0).user_attrs.get("plan")
        return None if told is None else str(told)

    def is_open(self, stage: int) -> bool:
        """Whether the stage has all its trials."""
        with contextlib.suppress(KeyError):
            return bool(self._study(stage).user_attrs.get("filled"))
        return False

    def open_stage(
        self, stage: int, space: Space, points: Sequence[Mapping[str, Any]], said: Sequence[str], plan: str
    ) -> None:
        """Put a stage's trials into the queue, unless another process has, or does just now."""
        name = self._study_name(stage)
        try:
            optuna.create_study(study_name=name, storage=self._storage, direction="maximize")
        except DuplicatedStudyError:
            if self._is_filled_by_another(stage):
                return
        study = self._study(stage)
        study.set_user_attr("plan", plan)
        study.set_user_attr("space", written(space))
        study.set_user_attr("said", list(said))
        there = {trial.user_attrs.get("slot") for trial in study.get_trials(deepcopy=False)}
        for slot, point in enumerate(points):
            if slot not in there:
                encoded = {name: _encode(value) for name, value in point.items()}
                study.enqueue_trial(encoded, user_attrs={"slot": slot, "tries": 0})
        study.set_user_attr("filled", True)

    def space(self, stage: int) -> dict[str, Dimension]:
        """The space of an opened stage."""
        if stage not in self._spaces:
            self._spaces[stage] = space_from(self._study(stage).user_attrs["space"])
        return self._spaces[stage]

    def said(self, stage: int) -> tuple[str, ...]:
        """What became of the ranges on the way to this stage, a sentence each."""
        return tuple(self._study(stage).user_attrs.get("said", ()))

    def records(self, stage: int) -> list[Record]:
        """The stage's trials by number."""
        space = self.space(stage)
        return [_record(stage, trial, space) for trial in self._study(stage).get_trials(deepcopy=False)]

    def study(self, stage: int) -> optuna.Study:
        """The stage as Optuna knows it, for its samplers and importances."""
        return self._study(stage)

    # ------------------------------------------------------------------------------------------------ trials

    def take(
        self,
        stage: int,
        owner: str,
        sampler: Callable[[int], optuna.samplers.BaseSampler],
        pruner: optuna.pruners.BasePruner,
    ) -> Taken | None:
        """The next trial of the queue, owned by `owner` from now on; None when the queue is empty.

        sampler: for a trial's number, what draws the values that the queue leaves open.
        """
        study = self._study(stage)
        study.pruner = pruner
        for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            trial_id = self._id(stage, waiting.number)
            with contextlib.suppress(UpdateFinishedTrialError):
                if self._storage.set_trial_state_values(trial_id, state=TrialState.RUNNING):
                    reached = max(waiting.intermediate_values, default=0)
                    before = waiting.user_attrs
                    tries = 1 if reached > before.get("reached", 0) else before.get("tries", 0) + 1
                    self._tell(trial_id, owner=owner, tries=tries, reached=reached, pulse=0)
                    study.sampler = sampler(waiting.number)
                    trial = optuna.Trial(study, trial_id)
                    values = {name: _suggest(trial, name, one) for name, one in sorted(self.space(stage).items())}
                    return Taken(
                        trial=trial,
                        trial_id=trial_id,
                        stage=stage,
                        number=waiting.number,
                        values=values,
                        told=reached,
                        owner=owner,
                    )
        return None

    def pulse(self, taken: Taken, count: int) -> None:
        """A sign of life."""
        self._tell(taken.trial_id, pulse=count)

    def owns(self, taken: Taken) -> bool:
        """Whether the trial is still its own: a process that slept too long was taken for dead."""
        trial = self._storage.get_trial(taken.trial_id)
        return trial.state == TrialState.RUNNING and trial.user_attrs.get("owner") == taken.owner

    def finish(self, taken: Taken, outcome: str, value: float | None = None, **told: Any) -> None:
        """Tell how a trial ended, with whatever is to be remembered of it; nothing where it is no longer its own."""
        if not self.owns(taken):
            return
        self._tell(taken.trial_id, outcome=outcome, **told)
        state = _FINAL.get(outcome, TrialState.FAIL)
        values = [value] if state == TrialState.COMPLETE and value is not None else None
        self._storage.set_trial_state_values(taken.trial_id, state=state, values=values)

    def put_back(self, taken: Taken) -> None:
        """Back into the queue: the process was asked to stop, which is no fault of the trial."""
        if self.owns(taken):
            tries = self._storage.get_trial(taken.trial_id).user_attrs.get("tries", 1) - 1
            self._tell(taken.trial_id, owner="", tries=tries)
            self._storage.set_trial_state_values(taken.trial_id, state=TrialState.WAITING)

    def recover(self, stage: int, grace_seconds: float) -> list[Record]:
        """Trials whose owner is gone, or has shown no pulse for so long, put back into the queue; which they were.

        The clock is this process's own: what counts is how long the pulse has stood still here.
        """
        back = []
        now = time.monotonic()
        for trial in self._study(stage).get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            trial_id, told = self._id(stage, trial.number), trial.user_attrs
            owner, pulse = told.get("owner", ""), (told.get("owner"), told.get("pulse"))
            if self._pulses.get(trial_id, (None, 0.0))[0] != pulse:
                self._pulses[trial_id] = (pulse, now)
            still = now - self._pulses[trial_id][1]
            if not gone(owner) and still < grace_seconds:
                continue
            tries = told.get("tries", 0)
            with contextlib.suppress(UpdateFinishedTrialError):
                if tries >= TRIES:
                    cause = f"its worker was killed {tries} times; is there enough memory?"
                    self._tell(trial_id, outcome="failed", cause=cause)
                    self._storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
                else:
                    self._tell(trial_id, owner="")
                    self._storage.set_trial_state_values(trial_id, state=TrialState.WAITING)
                back.append(_record(stage, trial, self.space(stage)))
        return back

    # ------------------------------------------------------------------------------------------------ parts

    def _is_filled_by_another(self, stage: int) -> bool:
        """Wait for whoever is filling a stage, however long that takes; False when nothing is added any more."""
        count, until = -1, 0.0
        while not self.is_open(stage):
            there = len(self._study(stage).get_trials(deepcopy=False))
            if there != count:
                count, until = there, time.monotonic() + FILL_SECONDS
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)
        return True

    def _study_name(self, stage: int) -> str:
        return f"{self.name}/{stage + 1}"

    def _study(self, stage: int) -> optuna.Study:
        if stage not in self._studies:
            self._studies[stage] = optuna.load_study(
                study_name=self._study_name(stage), storage=self._storage, sampler=optuna.samplers.RandomSampler()
            )
        return self._studies[stage]

    def _id(self, stage: int, number: int) -> int:
        study_id = self._storage.get_study_id_from_name(self._study_name(stage))
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    def _tell(self, trial_id: int, **values: Any) -> None:
        for name, value in values.items():
            self._storage.set_trial_user_attr(trial_id, name, value)


def _record(stage: int, trial: FrozenTrial, space: Space) -> Record:
    told = trial.user_attrs
    if trial.state == TrialState.WAITING:
        outcome = "waiting"
    elif trial.state == TrialState.RUNNING:
        outcome = "running"
    else:
        outcome = str(told.get("outcome", "failed"))
    given = trial.params or trial.system_attrs.get("fixed_params", {})
    return Record(
        stage=stage,
        number=trial.number,
        values={name: _decode(value, space[name]) for name, value in sorted(given.items()) if name in space},
        outcome=outcome,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        loss=told.get("loss"),
        curve=tuple(sorted(trial.intermediate_values.items())),
        seconds=told.get("seconds"),
        cause=str(told.get("cause", "")),
        owner=str(told.get("owner", "")),
        key=_key(stage, trial.number),
    )


def _key(stage: int, number: int) -> str:
    return f"stage{stage + 1}-{number + 1:04d}"


def _suggest(trial: optuna.Trial, name: str, one: Dimension) -> Any:
    if isinstance(one, Choices):
        return _decode(trial.suggest_categorical(name, [_encode(option) for option in one.options]), one)
    if one.whole:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def _encode(value: Any) -> Any:
    """Optuna's choices are numbers, truth values and texts; a list stands as its JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _decode(value: Any, one: Dimension) -> Any:
    if isinstance(one, Choices):
        return next((option for option in one.options if _encode(option) == value), value)
    return value
