"""The training loop: one for every task.

An epoch is a pass over the loader's batches; an update is `accumulate` batches. Between two updates, and only there,
the run may be saved, stopped, or found sick. The loop owns no randomness: the loader's order and noise are functions
of (seed, epoch, sample), and torch's own draws are re-seeded from (seed, step).
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from striate.augment import mix
from striate.augment.mix import Mixing
from striate.data import Batch, Loader
from striate.data.stages import wait_shares
from striate.pages.wording import plural
from striate.tasks import Metrics, Task, decode_all
from striate.train.checkpoint import CheckpointFolder
from striate.train.health import Diverged, Health, broken_parameter, likely_cause
from striate.train.log import RunLog
from striate.train.optim import RATE_SHARE
from striate.train.precision import autocast
from striate.train.progress import Reporter
from striate.train.report.record import EpochRow
from striate.train.settings import Settings
from striate.train.signals import StopRequest
from striate.train.state import Parts, Position, seed_step
from striate.train.target import Target
from striate.train.transfer.tuning import Tuning
from striate.train.watch import Diagnosis, Watch

__all__ = ["Outcome", "Trainer", "step_batches"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """How training ended: `kind` is finished, stopped early or interrupted, `signal` the one that interrupted it."""

    kind: str
    sentence: str
    signal: int | None = None


class Trainer:
    """Trains `parts.net` on `train`, validating on `val` (a loader without noise, or None) after each epoch."""

    def __init__(
        self,
        *,
        parts: Parts,
        task: Task,
        train: Loader,
        val: Loader | None,
        settings: Settings,
        device: torch.device,
        log: RunLog,
        checkpoints: CheckpointFolder,
        reporter: Reporter,
        mixings: Sequence[Mixing] = (),  # of which each batch takes one
        tuning: Tuning,
        keep_best: Any,  # called with (net, position, metrics) when an epoch is the best so far
        extra_state: dict[str, Any],
        position: Position | None = None,
        save_each_epoch: bool = True,  # False: only by the clock, where an epoch is cheaper than its checkpoint
    ) -> None:
        self._parts, self._task, self._settings, self._device = parts, task, settings, device
        self._train, self._val = train, val
        self._log, self._checkpoints, self._reporter = log, checkpoints, reporter
        self._keep_best, self._extra_state = keep_best, extra_state
        self._mixings = mixings
        self._keys: Iterator[torch.Tensor] = iter(())  # of the epoch, a batch each: what mixing is drawn by
        self._save_each_epoch = save_each_epoch
        self._tuning = tuning
        self.position = position or Position()
        self._steps_per_epoch = -(-len(train) // settings.accumulate)
        self.total_steps = settings.epochs * self._steps_per_epoch
        if settings.max_steps is not None:
            self.total_steps = min(self.total_steps, settings.max_steps)
        forward: Any = getattr(parts.net, "forward_with_auxiliary", None) or parts.net
        self._has_auxiliary = forward is not parts.net
        self._forward: Any = torch.compile(forward) if settings.compile else forward
        self._health = Health(
            chance_loss=task.chance_loss, explosion=settings.explosion, reference=self.position.first_loss
        )
        self._trained = [p for group in parts.optimizer.param_groups for p in group["params"]]
        self._log_every = max(1, self._steps_per_epoch // 50)  # fifty points of the loss curve for each epoch
        self._saved = time.monotonic()
        self.watch = Watch(
            parts.net, log, total_steps=self.total_steps, enabled=settings.watch, hooks=not settings.compile
        )
        self._seconds_before = self.position.total_seconds  # of the processes before this one

    @property
    def evaluated_net(self) -> nn.Module:
        """The net that is measured and kept: the averaged one where there is one."""
        return self._parts.average.net if self._parts.average is not None else self._parts.net

    def run(self) -> Outcome:
        """Train to the end, to an early stop, to a signal, or to a sick loss (raises Diverged)."""
        position, settings = self.position, self._settings
        self._reporter.begin(settings.epochs, self.total_steps, position.step)
        try:
            with StopRequest() as stop:
                while (outcome := self._outcome()) is None:
                    self._train_epoch(stop)
                    if not stop:
                        self._end_epoch(stop)
                    if stop:
                        self._save()
                        sentence = f"interrupted at step {position.step}"
                        return Outcome(kind="interrupted", sentence=sentence, signal=stop.signal)
        finally:
            self._reporter.end()
        return outcome

    def _outcome(self) -> Outcome | None:
        """How the run ended, when it has: asked between epochs, so that a resumed run gives the same answer."""
        position, settings = self.position, self._settings
        stale = position.epoch - (position.best_epoch or 0)
        if self._val is not None and settings.early_stop is not None and stale >= settings.early_stop:
            sentence = (
                f"no better validation error for {plural(stale, 'epoch')}; the best was epoch {position.best_epoch}"
            )
            return Outcome(kind="stopped early", sentence=sentence)
        out_of_steps = position.step >= self.total_steps and position.batch == 0
        if position.epoch >= settings.epochs or out_of_steps:
            return Outcome(
                kind="finished", sentence=f"{plural(position.epoch, 'epoch')}, {plural(position.step, 'step')}"
            )
        return None

    def _train_epoch(self, stop: StopRequest) -> None:
        """The rest of the epoch under way, or as much of it as the signal or the step limit leaves."""
        position = self.position
        self._tuning.begin_epoch(position.epoch)
        if self._mixings:
            self._keys = self._train.keys(position.epoch, start=position.batch)
        with contextlib.closing(self._train.epoch(position.epoch, start=position.batch)) as batches:
            self._train_batches(batches, stop)

    def _train_batches(self, batches: Iterator[Batch], stop: StopRequest) -> None:
        position, settings = self.position, self._settings
        while position.batch < len(self._train) and position.step < self.total_steps:
            started = time.perf_counter()
            seed_step(settings.seed, position.step)
            self.watch.begin(position.step + 1, position.total_seconds - self._seconds_before)
            loss = self._update(batches)
            position.step += 1
            elapsed = time.perf_counter() - started
            position.epoch_seconds += elapsed
            position.total_seconds += elapsed
            self._show(loss)
            if stop:
                return
            if self._save_is_due():
                self._save()

    def _update(self, batches: Iterator[Batch]) -> float:
        """One update from the next `accumulate` batches; returns their mean loss."""
        position, parts, settings = self.position, self._parts, self._settings
        sizes = step_batches(self._train, position.batch, settings.accumulate)
        group_images = sum(sizes)
        group_loss = 0.0
        for number, size in enumerate(sizes):
            asked = time.perf_counter()
            images, labels, _ = next(batches)
            position.wait_seconds += time.perf_counter() - asked
            if self._device.type != "cpu":
                images = images.to(self._device, non_blocking=True)
                labels = labels.to(self._device, non_blocking=True)
            target = Target(labels)
            if self._mixings:
                images, partner, own = mix(images, next(self._keys), self._mixings, settings.seed, position.epoch)
                target = Target(labels, labels[partner], own)
            watching = self.watch.forward() if number == 0 else contextlib.nullcontext()
            with autocast(self._device, settings.precision), watching:
                prediction, auxiliary = self._forward(images) if self._has_auxiliary else (self._forward(images), [])
                loss = target.loss(self._task, prediction)
                for weight, scores in auxiliary:
                    loss = loss + weight * target.loss(self._task, scores)
            share = size / group_images
            parts.scaler.scale(loss if share == 1 else loss * share).backward()  # type: ignore[no-untyped-call]  # torch's
            value = loss.item()
            if (illness := self._health.sick(value)) is not None:
                self._diverge(illness, value, position.step + 1, f"at step {position.step + 1}")
            position.first_loss = self._health.reference
            position.batch += 1
            position.images += size
            position.loss_sum += value * size
            position.correct += int(self._task.correct(prediction, target.likelier))
            group_loss += value * share
        self._apply()
        return group_loss

    def _apply(self) -> None:
        """The optimiser's step from the gradients that are there."""
        parts, settings = self._parts, self._settings
        rate = parts.rate.at(self.position.step)
        for group in parts.optimizer.param_groups:
            group["lr"] = rate * group.get(RATE_SHARE, 1.0)
        self.watch.before_step(parts.scaler.get_scale())
        if settings.clip_grad is not None or settings.anchor:
            parts.scaler.unscale_(parts.optimizer)
        if settings.clip_grad is not None:
            nn.utils.clip_grad_norm_(parts.net.parameters(), settings.clip_grad)
        self._tuning.pull()
        parts.scaler.step(parts.optimizer)
        parts.scaler.update()
        self._say(self.watch.after_step(self.position.step + 1, self.position.epoch + 1, rate))
        for parameter in self._trained:  # what zero_grad does, less its profiling: 4 µs for LeNet-5, not 17
            parameter.grad = None
        if parts.average is not None:
            parts.average.update(parts.net)

    def _end_epoch(self, stop: StopRequest) -> None:
        """Validate, tell the schedule, keep the best, log, save."""
        position = self.position
        metrics = self._validate(stop) if self._val is not None else None
        if stop:
            return
        if (illness := self._sick_epoch(metrics)) is not None:
            self._diverge(illness, math.nan, position.step, f"in epoch {position.epoch + 1}")
        position.epoch += 1
        position.add_stages(self._train.stages.drain())
        waiting = position.wait_seconds / max(1e-9, position.epoch_seconds)
        best = metrics is not None and (1 - metrics.accuracy, metrics.loss) < (position.best_error, position.best_loss)
        rate = self._parts.rate.at(max(0, position.step - 1))  # before the schedule hears of the epoch
        if metrics is not None:
            self._parts.rate.epoch_ended(1 - metrics.accuracy)
        if metrics is not None and best:
            position.best_epoch, position.best_step = position.epoch, position.step
            position.best_error, position.best_loss = 1 - metrics.accuracy, metrics.loss
            self._keep_best(self.evaluated_net, position, metrics)
        row = EpochRow(
            epoch=position.epoch,
            step=position.step,
            train_loss=position.loss_sum / max(1, position.images),
            train_accuracy=position.correct / max(1, position.images),
            val_loss=metrics.loss if metrics is not None else None,
            val_accuracy=metrics.accuracy if metrics is not None else None,
            learning_rate=rate,
            seconds=position.epoch_seconds,
            images_per_second=position.images / max(1e-9, position.epoch_seconds),
            data_wait_share=waiting,
            waits=wait_shares(position.stage_seconds, waiting),
        )
        self._log.write("epoch", **dataclasses.asdict(row), best=best, predicted=commonest_answer(metrics))
        self._log.scalars(
            position.step,
            loss__train=row.train_loss,
            loss__validation=row.val_loss,
            accuracy__train=row.train_accuracy,
            accuracy__validation=row.val_accuracy,
            learning_rate=row.learning_rate,
            images_per_second=row.images_per_second,
        )
        self._reporter.epoch(row, best)
        self._say(self.watch.epoch_ended())
        position.begin_epoch()
        if self._save_each_epoch or self._save_is_due():
            self._save()

    def _sick_epoch(self, metrics: Metrics | None) -> str | None:
        """What the epoch's last update may have broken, which no batch after it has shown: then nothing is kept."""
        if metrics is not None and not math.isfinite(metrics.loss):
            return f"the validation loss is {metrics.loss}"
        broken = broken_parameter(self._parts.net)
        return None if broken is None else f"{broken} is no longer finite"

    def _validate(self, stop: StopRequest) -> Metrics:
        assert self._val is not None
        batches = self._until(stop, self._val.epoch(0))
        return self._task.metrics(*decode_all(self.evaluated_net, self._task, batches, self._device))

    @staticmethod
    def _until(stop: StopRequest, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches, ended early by a signal (the caller then throws the result away)."""
        for batch in batches:
            if stop:
                return
            yield batch

    def _say(self, serious: Sequence[Diagnosis]) -> None:
        """What the watch has found, one line each, while the run goes on."""
        for one in serious:
            self._reporter.note(f"watch: {one}")

    def _show(self, loss: float) -> None:
        """The step in the log, at intervals, and on the bar."""
        position = self.position
        if position.step % self._log_every == 0 or position.step == 1:
            self._log.write("step", step=position.step, epoch=position.epoch + 1, loss=loss)
            self._log.scalars(position.step, loss__step=loss)
        images, seconds = max(1, position.images), max(1e-9, position.epoch_seconds)
        self._reporter.step(
            position.epoch + 1,
            position.step,
            position.loss_sum / images,
            position.correct / images,
            images / seconds,
            position.wait_seconds / seconds,
        )

    def _save_is_due(self) -> bool:
        every = self._settings.checkpoint_steps
        if every is not None and self.position.step % every == 0:
            return True
        return time.monotonic() - self._saved > 60 * self._settings.checkpoint_minutes

    def _save(self) -> None:
        self.position.add_stages(self._train.stages.drain())
        log_nbytes = self._log.sync()
        checkpoint = self._parts.checkpoint(self.position, log_nbytes=log_nbytes, **self._extra_state)
        self._checkpoints.save(checkpoint, also_keep=self.position.best_step)
        self._saved = time.monotonic()

    def _diverge(self, illness: str, loss: float, step: int, where: str) -> None:
        position, settings = self.position, self._settings
        kept = loss if math.isfinite(loss) else str(loss)
        self._log.write("sick", step=step, epoch=position.epoch + 1, loss=kept, sentence=illness)
        cause = likely_cause(
            self._parts.net,
            lr=self._parts.rate.at(position.step),
            step=position.step,
            precision=settings.precision,
            clip_grad=settings.clip_grad,
        )
        steps = self._checkpoints.steps()
        good = f"the last good checkpoint is step {steps[-1]}" if steps else "there is no checkpoint yet"
        raise Diverged(f"diverged {where}: {illness}; likely cause: {cause}; {good}")


def commonest_answer(metrics: Metrics | None) -> float | None:
    """The share of the images that got the answer given most often; None where answers are no classes."""
    confusion = getattr(metrics, "confusion", None)
    return None if confusion is None else float(confusion.sum(0).max() / max(1, confusion.sum()))


def step_batches(loader: Loader, batch: int, accumulate: int) -> list[int]:
    """The images in each batch of the update that begins at batch number `batch`."""
    return [loader.images_in(number) for number in range(batch, min(len(loader), batch + accumulate))]
