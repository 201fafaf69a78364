"""The watch of a run: when to look, what to write, what to say.

A look costs about as much as a step, so it may not come often. It pays from an allowance of a hundredth of the training
time: the next look is due when the seconds that all looks have taken are less than that share of the seconds trained,
and no sooner than a hundredth of the run after the last. So the share holds whatever the net, the device and the
machine's mood are; what looks cost is measured, not guessed. The first look is at the first step and the last at the
last, on credit; and a little is paid in advance, over the length of the run, so that runs of seconds have a few looks
from beginning to end.

It only reads: no value, generator or gradient is changed by it, and a run has the same weights with it and without.
When it looks depends on the clock, so its records are the only ones of a log that are not the same in a resumed run.
"""

import contextlib
import dataclasses
import math
import time
from typing import Any

from torch import nn

from striate.train.log import RunLog
from striate.train.watch.activations import Activations, is_layer, is_nonlinearity
from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.histogram import Histogram
from striate.train.watch.norms import Norms
from striate.train.watch.rules import diagnose
from striate.train.watch.series import LogTail, Series
from striate.train.watch.weights import UpdateLook

__all__ = ["SHARE", "Watch"]

SHARE = 0.01  # of the training time: half of the 2 % it may take, since caches that a look empties are not on its clock
ADVANCE = 3.0  # seconds of training paid for beyond those of the run: two seconds have a few looks, too, for 30 ms
MOST_LOOKS = 100  # evenly over a run: as many points as a curve in the report can show apart
MOST_HISTOGRAMS = 10  # of them with histograms, which are nine tenths of a record
IMAGES = 64  # of a batch whose activations are read: ten classes are among them, and a large batch costs no more
DIGITS = 4  # significant ones of a logged measure
NOTHING: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()


class Watch:
    """What the loop calls around an update. Where nothing is due each call returns at once."""

    def __init__(
        self, net: nn.Module, log: RunLog, *, total_steps: int, enabled: bool = True, hooks: bool = True
    ) -> None:
        """hooks: also on the layers; a compiled net calls none.

        What the log holds already is taken up: a resumed run's illnesses are not named twice.
        """
        self._net, self._log, self._enabled, self._hooked = net, log, enabled, hooks
        self._total, self._apart = total_steps, max(1, total_steps // MOST_LOOKS)
        self._tail, self.series = LogTail(log.path), Series()
        self._catch_up()
        self._due = self.series.looks[-1].step + self._apart if self.series.looks else 1
        self._draw_every, self._drawn = max(1, total_steps // MOST_HISTOGRAMS), -total_steps
        self._looks, self._spent, self._least = 0, 0.0, math.inf  # of this process; seconds, the first look's left out
        watched = is_nonlinearity if any(map(is_nonlinearity, net.modules())) else is_layer
        self._activations, self._norms = Activations(net, of=watched, images=IMAGES), Norms(net, images=IMAGES)
        self._looking = False
        self._update: UpdateLook | None = None
        self._look_seconds = 0.0
        self.spent_seconds = 0.0  # all of it

    @property
    def charged_seconds(self) -> float:
        """What has been taken from the allowance."""
        return self._spent

    def begin(self, step: int, trained_seconds: float) -> None:
        """Before the update number `step` (from 1), after so many seconds of training in this process."""
        paid = SHARE * (trained_seconds + ADVANCE * step / max(1, self._total))
        self._looking = self._enabled and ((step >= self._due and self._spent <= paid) or step == self._total)

    def forward(self) -> contextlib.AbstractContextManager[Any]:
        """Around the update's first forward pass."""
        if not (self._looking and self._hooked):
            return NOTHING
        hooks = contextlib.ExitStack()
        self._activations.forget()
        hooks.enter_context(self._activations)
        hooks.enter_context(self._norms)
        return hooks

    def before_step(self, scale: float = 1.0) -> None:
        """When all gradients are there, `scale` times too large."""
        if self._looking:
            started = time.perf_counter()
            self._update = UpdateLook(self._net, scale=scale)
            self._look_seconds += time.perf_counter() - started

    def after_step(self, step: int, epoch: int, rate: float) -> list[Diagnosis]:
        """When the optimiser has stepped: write the look; returns what is serious and new."""
        if not self._looking or self._update is None:
            return []
        started = time.perf_counter()
        self._write(step, epoch, rate, self._update)
        self._looking, self._update = False, None
        self._due = step + self._apart
        serious = self._news()
        self._look_seconds += self._activations.seconds + self._norms.seconds + time.perf_counter() - started
        self._activations.seconds = self._norms.seconds = 0.0
        self._pay(look=True)
        return serious

    def epoch_ended(self) -> list[Diagnosis]:
        """After the epoch's record: what is serious and new."""
        if not self._enabled:
            return []
        started = time.perf_counter()
        serious = self._news()
        self._look_seconds += time.perf_counter() - started
        self._pay(look=False)
        return serious

    def conclude(self) -> list[Diagnosis]:
        """At the end of a run: everything that is wrong with it, written into the log."""
        if not self._enabled:
            return []
        self._catch_up()
        found = diagnose(self.series)
        for one in found:
            if one.illness not in self.series.said:
                self._log.write("diagnosis", **dataclasses.asdict(one))
        return found

    def _news(self) -> list[Diagnosis]:
        self._catch_up()
        new = [one for one in diagnose(self.series) if one.serious and one.illness not in self.series.said]
        for one in new:
            self._log.write("diagnosis", **dataclasses.asdict(one))
            self.series.said.append(one.illness)
        return new

    def _catch_up(self) -> None:
        if self._enabled:
            self.series.add(self._tail.more())

    def _pay(self, *, look: bool) -> None:
        """Charge what was just done to the allowance, but no more than twice the least a look has cost so far: what is
        above it is another process's time. The first look is cold, and dear for that: one expense, not a share.
        """
        cost = self._look_seconds
        self.spent_seconds += cost
        if look and self._looks:
            self._least = min(self._least, cost)
            cost = min(cost, 2 * self._least)
        self._spent += cost if self._looks else 0.0
        self._looks += look
        self._look_seconds = 0.0

    def _write(self, step: int, epoch: int, rate: float, update: UpdateLook) -> None:
        """The look as a record of the log, and as points for TensorBoard."""
        draws = step - self._drawn >= self._draw_every
        if draws:
            self._drawn = step
        weights, activations, norms = update.layers(), self._activations.layers(), self._norms.layers()
        self._log.write(
            "watch",
            step=step,
            epoch=epoch,
            learning_rate=rate,
            gradient=_short(update.total),
            weights=[_told(layer, draws, "count") for layer in weights],
            activations=[_told(layer, draws, "images") for layer in activations],
            norms=[_told(layer, draws) for layer in norms],
        )
        self._log.points(step, {"watch/gradient": update.total})
        for layer in weights:
            self._log.points(
                step, {f"gradient/{layer.name}": layer.gradient, f"update_ratio/{layer.name}": layer.ratio}
            )
        for seen in activations:
            self._log.points(step, {f"dead/{seen.name}": seen.dead, f"saturated/{seen.name}": seen.saturated})
            self._log.points(step, {f"mean/{seen.name}": seen.mean, f"deviation/{seen.name}": seen.deviation})
        for norm in norms:
            self._log.points(step, {f"norm_shift/{norm.name}": norm.shift, f"norm_scale/{norm.name}": norm.scale})
        if draws:
            for layer in weights:
                self._draw(step, f"weights/{layer.name}", layer.histogram)
            for seen in activations:
                self._draw(step, f"activations/{seen.name}", seen.histogram)

    def _draw(self, step: int, name: str, bins: Histogram) -> None:
        self._log.histogram(step, name, bins.low, bins.high, bins.counts)


def _told(layer: Any, draws: bool, *left_out: str) -> dict[str, Any]:
    """A layer's measures as JSON takes them, to four digits."""
    told: dict[str, Any] = {}
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if field.name in left_out or (isinstance(value, Histogram) and not draws):
            continue
        if isinstance(value, Histogram):
            value = {"low": _short(value.low), "high": _short(value.high), "counts": list(value.counts)}
        told[field.name] = _short(value) if isinstance(value, float) else value
    return told


def _short(value: float) -> float | None:
    """Four significant digits; what is no number is None, since JSON has no other word for it.

    >>> _short(0.123456), _short(123456.0), _short(float("nan"))
    (0.1235, 123500.0, None)
    """
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
