"""The learning rate as a factor of its setting, over the run.

`constant`, `step`, `cosine` and `onecycle` are functions of progress alone; `plateau` remembers validation errors.
Warm-up multiplies any of them by a straight ramp (Goyal 2017, section 2.2).
"""

import dataclasses
import math
from typing import Any

from striate.train.settings import Settings

__all__ = ["Rate"]


class Rate:
    """The learning rate at every step of a run; its only memory is that of `plateau`."""

    def __init__(self, settings: Settings, steps_per_epoch: int, total_steps: int) -> None:
        self._settings = settings
        self._steps_per_epoch = max(1, steps_per_epoch)
        self._total_steps = max(1, total_steps)
        self._plateau = Plateau(patience=settings.plateau_epochs, gamma=settings.gamma)

    def at(self, step: int) -> float:
        """The rate for the update that follows `step` finished updates."""
        settings = self._settings
        warmup_steps = round((settings.warmup_epochs or 0.0) * self._steps_per_epoch)
        warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        return settings.lr * warmup * self._factor(step, warmup_steps)

    def _factor(self, step: int, warmup_steps: int) -> float:
        settings = self._settings
        progress = min(1.0, step / self._total_steps)
        match settings.schedule:
            case "constant":
                return 1.0
            case "step":
                epoch = step // self._steps_per_epoch
                passed = sum(epoch >= milestone for milestone in settings.milestones)
                return float(settings.gamma**passed)
            case "plateau":
                return self._plateau.factor
            case "cosine":  # Loshchilov 2017, eq. 5, one period, after the warm-up
                rest = max(1, self._total_steps - warmup_steps)
                return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0, step - warmup_steps) / rest)))
            case "onecycle":  # Smith 2018: up in a straight line, then down to nothing
                peak = settings.peak_fraction
                return progress / peak if progress < peak else (1 - progress) / (1 - peak)

    def epoch_ended(self, error: float) -> None:
        """Tell `plateau` an epoch's validation error (lower is better)."""
        self._plateau.see(error)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on as if it had never stopped."""
        return dataclasses.asdict(self._plateau)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The reverse of `state_dict`."""
        self._plateau = Plateau(**state)


@dataclasses.dataclass(kw_only=True)
class Plateau:
    """Divide the rate when the validation error has stopped falling (LECTURES F3: AlexNet and ResNet did)."""

    patience: int
    gamma: float
    factor: float = 1.0
    best: float = math.inf
    stale: int = 0  # epochs since the best

    def see(self, error: float) -> None:
        """One more epoch's error."""
        if error < self.best:
            self.best, self.stale = error, 0
            return
        self.stale += 1
        if self.stale >= self.patience:
            self.factor *= self.gamma
            self.stale = 0
