"""Where a run stands: everything that must be the same again after a kill."""

import dataclasses
import math
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.train.checkpoint import Checkpoint, flatten_state, restore_state
from striate.train.ema import WeightAverage

__all__ = ["Parts", "Position", "seed_all", "seed_step"]


@dataclasses.dataclass(kw_only=True)
class Position:
    """How far the run is, the sums of the epoch under way, and the best epoch so far."""

    epoch: int = 0  # finished and validated epochs
    batch: int = 0  # batches of the epoch under way that are used up
    step: int = 0  # updates of the weights
    loss_sum: float = 0.0  # over the images of the epoch under way
    correct: int = 0
    images: int = 0
    epoch_seconds: float = 0.0
    wait_seconds: float = 0.0
    stage_seconds: dict[str, float] = dataclasses.field(default_factory=dict)  # of the loader's threads
    total_seconds: float = 0.0
    best_epoch: int | None = None
    best_step: int | None = None
    best_error: float = math.inf
    best_loss: float = math.inf
    first_loss: float | None = None

    def begin_epoch(self) -> None:
        """Forget the sums of the epoch that ended."""
        self.batch = self.correct = self.images = 0
        self.loss_sum = self.epoch_seconds = self.wait_seconds = 0.0
        self.stage_seconds = {}

    def add_stages(self, seconds: dict[str, float]) -> None:
        """What the loader's threads did since they were last asked."""
        for stage, value in seconds.items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """The stateful things of a run, saved and restored together."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    rate: Any  # striate.train.schedule.Rate

    def checkpoint(self, position: Position, **extra: Any) -> Checkpoint:
        """The whole state as a checkpoint."""
        tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in self.net.state_dict().items()}
        state: dict[str, Any] = {
            "position": dataclasses.asdict(position),
            "optimizer": flatten_state("optimizer", self.optimizer.state_dict(), tensors),
            "scaler": flatten_state("scaler", self.scaler.state_dict(), tensors),
            "rate": self.rate.state_dict(),
            "random": flatten_state("random", _random_states(), tensors),
            **extra,
        }
        if self.average is not None:
            tensors.update({f"ema.{name}": value for name, value in self.average.net.state_dict().items()})
            state["ema_updates"] = self.average.updates
        return Checkpoint(step=position.step, tensors=tensors, state=state)

    def restore(self, checkpoint: Checkpoint) -> Position:
        """Put every part into the checkpoint's state; returns the position."""
        tensors, state = checkpoint.tensors, checkpoint.state
        try:
            self.net.load_state_dict(_under("model.", tensors))
            if self.average is not None:
                self.average.net.load_state_dict(_under("ema.", tensors))
                self.average.updates = state["ema_updates"]
        except RuntimeError as error:
            raise StriateError(f"checkpoint at step {checkpoint.step} is of another net: {error}") from error
        _load_optimizer(self.optimizer, restore_state(state["optimizer"], tensors))
        self.scaler.load_state_dict(restore_state(state["scaler"], tensors))
        self.rate.load_state_dict(state["rate"])
        _set_random_states(restore_state(state["random"], tensors))
        return Position(**state["position"])


def seed_all(seed: int) -> None:
    """Seed the generators of torch, NumPy and Python that everybody shares: a run starts from the same state."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  # as below
    random.seed(seed)


def seed_step(seed: int, step: int) -> None:
    """Seed what torch itself draws (dropout) as a function of (seed, step): splitmix64 (Steele 2014)."""
    value = (seed * 0x9E3779B97F4A7C15 + step + 1) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    value = (value ^ (value >> 31)) >> 1  # torch takes 63 bits and a sign
    # Not torch.manual_seed: where there is no GPU it formats stack traces, at 80 µs a call.
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(value)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load, then give each buffer its parameter's memory format: checkpoints are contiguous, training may not be."""
    optimizer.load_state_dict(state)
    for parameter, buffers in optimizer.state.items():
        for name, value in buffers.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim > 0:
                buffers[name] = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)


def _random_states() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  # the state that other libraries draw from
    assert isinstance(numpy_state, dict)
    mersenne = numpy_state["state"]
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
        "numpy": {
            **numpy_state,
            "state": {"key": torch.from_numpy(mersenne["key"].astype(np.int64)), "pos": int(mersenne["pos"])},
        },
    }


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    numpy_state = states["numpy"]
    numpy_state["state"]["key"] = numpy_state["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state(numpy_state)  # noqa: NPY002  # as above
