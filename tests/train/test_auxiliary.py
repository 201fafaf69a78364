"""Auxiliary heads in the training loop: their loss is added, with its weight, and every head learns."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from striate.nets import Net
from striate.nets.weights import load_model
from striate.nets.zoo.mlp import MLP
from striate.train import reporter_for, settings_from, start


def with_a_second_head(self: Net, x: Tensor) -> tuple[Tensor, list[tuple[float, Tensor]]]:
    """A linear net's own scores once more as an auxiliary head with weight 3: the loss is four times its own."""
    scores = self.head(self.features(x))
    return scores, [(3.0, scores)]


def trained(folder: Path, lr: float) -> Net:
    settings = {
        "model": "mlp",
        "model_settings": {"hidden": [16]},
        "size": 8,
        "pad": 0,
        "max_steps": 3,
        "optimizer": "sgd",
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "ema": 0.0,
        "lr": lr,
        "precision": "fp32",
        "threads": 1,
        "output": str(folder),
        "name": "run",
    }
    start(settings_from(settings), reporter_for(quiet=True))
    return load_model(folder / "run" / "last.safetensors")[0]


def test_the_loop_adds_the_weighted_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L + 3 L trained at a rate of 0.01 is L trained at 0.04, for plain SGD."""
    alone = trained(tmp_path / "a", 0.04)
    monkeypatch.setattr(MLP, "forward_with_auxiliary", with_a_second_head, raising=False)
    both = trained(tmp_path / "b", 0.01)
    for (name, p), q in zip(alone.state_dict().items(), both.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6, msg=name)
