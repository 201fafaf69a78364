"""One trial: a short run that keeps little, asks after each epoch whether it may go on, and never sees the test part.

It is the loop, the loader and the checkpoints of `striate train` without what a run leaves for people: no report, no
TensorBoard, no measurement of what is fastest (the search decided that once), no checkpoint while the trial is younger
than the checkpoint interval. Its folder is a run's folder all the same: config, log, the best epoch's model.
"""

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch
from torch import nn

from striate.atomic import write_bytes
from striate.nets.weights import save_model
from striate.search.materials import Materials
from striate.tasks import Metrics
from striate.train import RunFolder, Settings
from striate.train.assembly import assemble
from striate.train.checkpoint import CheckpointFolder
from striate.train.health import Diverged
from striate.train.log import RunLog
from striate.train.loop import Trainer
from striate.train.noise import choose_policy, mixings, with_policy
from striate.train.progress import Silent
from striate.train.report.record import EpochRow
from striate.train.resolve import resolve
from striate.train.run import begin_net, build_net
from striate.train.sampling import with_weights
from striate.train.settings import to_toml
from striate.train.state import Position

__all__ = ["Result", "run_trial"]

Judge = Callable[[int, float], bool]  # (epoch, its validation accuracy) → whether to end the trial here


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """outcome: finished, pruned, exploded, interrupted, failed. value, loss: the best epoch's accuracy and loss."""

    outcome: str
    value: float | None = None
    loss: float | None = None
    epoch: int = 0
    seconds: float = 0.0
    cause: str = ""


class Ended(Exception):
    """The trial is not worth its remaining epochs."""


def run_trial(settings: Settings, materials: Materials, path: Path, judge: Judge, *, keep_model: bool) -> Result:
    """Train `settings` in the folder `path`, going on where a checkpoint there says.

    A loss that explodes, or is no number, is an outcome. Raises StriateError where these settings make no run. Its
    checkpoint stays until the end has been told to the ledger (`striate.search.ranking.thin_out`).
    """
    began = time.monotonic()
    folder = RunFolder(path)
    settings = with_weights(resolve(settings, materials.data), materials.data)
    settings = with_policy(settings, choose_policy(settings, materials.data, materials.colours(settings)).policy)
    settings = settings.replace(threads=torch.get_num_threads())  # this process's share, for the record
    net = build_net(settings, materials.data)
    preprocess = materials.preprocess(settings, net)
    path.mkdir(parents=True, exist_ok=True)
    write_bytes(folder.config, to_toml(settings.replace(output=str(path.parent), name=path.name)).encode())
    checkpoints = CheckpointFolder(folder.checkpoints, 1)
    checkpoint, _ = checkpoints.newest()

    if checkpoint is None:
        begin_net(settings, net, materials.data, preprocess, Silent())
    made = assemble(settings, materials.data, preprocess, net, checkpoint)
    position = made.position

    def keep(kept: nn.Module, position: Position, metrics: Metrics) -> None:
        measures = {"epoch": position.epoch, "val_accuracy": metrics.accuracy, "val_loss": metrics.loss}
        if keep_model:
            save_model(folder.best, kept, dataclasses.replace(made.card, metrics=measures))

    log_nbytes = checkpoint.state["log_nbytes"] if checkpoint is not None else 0
    with contextlib.closing(RunLog(path, keep_nbytes=log_nbytes, tensorboard=False)) as log:
        trainer = Trainer(
            parts=made.parts,
            task=made.task,
            train=made.train,
            val=made.val,
            settings=settings,
            device=made.device,
            log=log,
            checkpoints=checkpoints,
            reporter=Watcher(judge),
            mixings=mixings(settings),
            tuning=made.tuning,
            keep_best=keep,
            extra_state={"preprocess": preprocess.to_dict(), "data": materials.fingerprint},
            position=position,
            save_each_epoch=False,
        )
        try:
            outcome, cause = trainer.run().kind, ""
        except Ended:
            outcome, cause = "pruned", f"after epoch {position.epoch}"
        except Diverged as error:
            outcome, cause = "exploded", str(error).partition(";")[0]
    if outcome == "interrupted":
        return Result(outcome=outcome)
    known = math.isfinite(position.best_error) and outcome != "exploded"
    return Result(
        outcome="finished" if outcome == "stopped early" else outcome,
        value=1 - position.best_error if known else None,
        loss=position.best_loss if known else None,
        epoch=position.best_epoch or 0,
        seconds=round(time.monotonic() - began, 3),
        cause=cause,
    )


@final
class Watcher:
    """Hears of each epoch, and stops the trial where the judge says so, or where nobody is left to tell."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._parent = os.getppid()

    def note(self, line: str) -> None:
        """Nothing: a hundred trials would all say the same."""

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        """A worker whose search is gone asks itself to stop, as a terminal would: its trial is saved."""
        if os.getppid() != self._parent:
            self._parent = os.getppid()
            os.kill(os.getpid(), signal.SIGTERM)

    def epoch(self, row: EpochRow, best: bool) -> None:
        """The judge's turn."""
        assert row.val_accuracy is not None
        if self._judge(row.epoch, row.val_accuracy):
            raise Ended

    def end(self) -> None:
        """Nothing."""
