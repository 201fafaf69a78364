"""Frozen means frozen, to the bit; what learns learns at its own rate; weights are pulled to where they began."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from striate.data import Dataset
from striate.errors import StriateError
from striate.nets import Net
from striate.nets.weights import load_model
from striate.train import Settings
from striate.train.optim import RATE_SHARE, build_optimizer
from striate.train.progress import Silent
from striate.train.run import start
from striate.train.transfer.depth import depth_of
from striate.train.transfer.source import Source
from striate.train.transfer.tuning import Tuning


def settings(tmp_path: Path, source: Source, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "data": "greys", "model": "resnet20", "pretrained": str(source.file), "size": 16, "batch_size": 8, "epochs": 3,
        "lr": 0.02, "explosion": 0.0, "precision": "fp32", "channels_last": False, "threads": 1, "workers": 0,
        "output": str(tmp_path / "runs"), "device": "cpu",
    }  # fmt: skip
    return Settings(**given | changes)


def stage_of(name: str, net: Net) -> int:
    """The group that a tensor's module belongs to."""
    module = name.rpartition(".")[0]
    return next(i for i, (_, modules) in enumerate(depth_of(net).groups) if module in modules)


@pytest.mark.parametrize(("freeze", "border"), [("layer1", 1), ("layer2", 2), ("all", 3)])
def test_what_is_frozen_is_bit_identical_after_training(
    freeze: str, border: int, source: Source, data: Dataset, tmp_path: Path
) -> None:
    ended = start(settings(tmp_path, source, freeze=freeze), Silent(), data=data)
    trained, _ = load_model(ended.folder.last)
    before, after = source.net.state_dict(), trained.state_dict()
    assert any("running_mean" in name for name in before)
    moved = set()
    for name, value in after.items():
        if name.endswith("num_batches_tracked") or stage_of(name, trained) >= border:
            continue
        moved |= {name} if not torch.equal(value, before[name]) else set()
    assert not moved, "weights and batch-norm statistics alike"
    learnt = [name for name in after if stage_of(name, trained) >= border and "num_batches" not in name]
    assert any(name.startswith("linear") or not torch.equal(after[name], before[name]) for name in learnt)
    if border < 3:
        assert not torch.equal(after["layer3.0.bn1.running_mean"], before["layer3.0.bn1.running_mean"])


def test_unfrozen_statistics_move(source: Source, data: Dataset, tmp_path: Path) -> None:
    ended = start(settings(tmp_path, source), Silent(), data=data)
    trained, _ = load_model(ended.folder.last)
    assert not torch.equal(trained.state_dict()["bn1.running_mean"], source.net.state_dict()["bn1.running_mean"])


def test_frozen_norms_keep_their_statistics_and_learn_their_gains(
    source: Source, data: Dataset, tmp_path: Path
) -> None:
    ended = start(settings(tmp_path, source, freeze_norms=True), Silent(), data=data)
    before, after = source.net.state_dict(), load_model(ended.folder.last)[0].state_dict()
    for name in before:
        if "running" in name or "num_batches" in name:
            assert torch.equal(before[name], after[name]), name
    assert not torch.equal(before["bn1.weight"], after["bn1.weight"])


def test_a_stage_more_learns_at_every_so_many_epochs(net: Net) -> None:
    tuning = Tuning(net, Settings(unfreeze_epochs=2, freeze="layer1"))
    learns = []
    for epoch in (0, 1, 2, 3, 4, 9):
        tuning.begin_epoch(epoch)
        learns.append([stage for stage in ("layer1", "layer2", "layer3") if trainable(net.get_submodule(stage))])
        assert trainable(net.linear)
        assert net.bn1.training is trainable(net.bn1) is False  # frozen for good, also where all the rest is free
    assert learns == [[], [], ["layer3"], ["layer3"], ["layer2", "layer3"], ["layer2", "layer3"]]


def test_gradual_unfreezing_leaves_what_has_not_begun_as_it_was(source: Source, data: Dataset, tmp_path: Path) -> None:
    ended = start(settings(tmp_path, source, unfreeze_epochs=2, epochs=2, ema=0.0), Silent(), data=data)
    trained, _ = load_model(ended.folder.last)
    before = source.net.state_dict()
    assert all(
        torch.equal(value, before[name])
        for name, value in trained.state_dict().items()
        if not name.startswith("linear")
    )


def test_each_stage_learns_at_its_share_of_the_rate(net: Net) -> None:
    given = Settings(depth_decay=0.5, weight_decay=0.1)
    optimizer = build_optimizer(net, given, Tuning(net, given))
    share = {id(p): group.get(RATE_SHARE, 1.0) for group in optimizer.param_groups for p in group["params"]}
    assert share[id(net.linear.weight)] == 1.0
    assert share[id(net.layer3[0].conv1.weight)] == 0.5
    assert share[id(net.layer2[0].bn1.weight)] == 0.25
    assert share[id(net.conv1.weight)] == 0.125
    assert len(share) == len(list(net.parameters()))


def test_rates_of_a_run_follow_the_schedule_times_the_share(source: Source, data: Dataset, tmp_path: Path) -> None:
    """With a share so small that nothing is left of a step, only the scores move."""
    tiny = settings(tmp_path, source, depth_decay=1e-30, ema=0.0, weight_decay=0.0)
    trained, _ = load_model(start(tiny, Silent(), data=data).folder.last)
    weights = dict(source.net.named_parameters())
    for name, value in trained.named_parameters():
        if not name.startswith("linear"):
            torch.testing.assert_close(value, weights[name], atol=1e-25, rtol=0)


def test_anchor_pulls_to_the_beginning_and_not_to_zero(net: Net) -> None:
    given = Settings(anchor=0.25, weight_decay=0.1)
    tuning = Tuning(net, given)
    began = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    tuning.pull()
    torch.testing.assert_close(net.conv1.weight.grad, 0.25 * (net.conv1.weight - began.conv1.weight).detach())
    assert not net.linear.weight.grad.any(), "a new head has no beginning worth keeping"
    groups = build_optimizer(net, given, tuning).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert (decays[id(net.conv1.weight)], decays[id(net.linear.weight)]) == (0.0, 0.1)


def test_a_strong_pull_keeps_the_weights_near(source: Source, data: Dataset, tmp_path: Path) -> None:
    def distance(anchor: float, name: str) -> float:
        given = settings(tmp_path, source, anchor=anchor, weight_decay=0.0, ema=0.0, name=name)
        trained, _ = load_model(start(given, Silent(), data=data).folder.last)
        pairs = zip(trained.layer1.parameters(), source.net.layer1.parameters(), strict=True)
        return sum(float((a - b).square().sum().detach()) for a, b in pairs)

    assert distance(5.0, "near") < 0.3 * distance(0.0, "far")


def test_settings_that_change_nothing_leave_the_loop_as_it_was(net: Net) -> None:
    tuning = Tuning(net, Settings())
    tuning.begin_epoch(0)
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert {group.get(RATE_SHARE) for group in build_optimizer(net, Settings(), tuning).param_groups} == {None}


def test_a_stage_that_is_none_is_refused_before_anything_is_written(
    source: Source, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(StriateError, match="unknown stage to freeze up to 'layer7'"):
        start(settings(tmp_path, source, freeze="layer7"), Silent(), data=data)
    assert not (tmp_path / "runs").exists()


def trainable(module: nn.Module) -> bool:
    return all(parameter.requires_grad for parameter in module.parameters())
