"""The watch in a run: it changes nothing, records what it promises, and keeps to its allowance."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from striate.train import reporter_for, resume, settings_from, start
from striate.train.log import RunLog, read_log
from striate.train.watch import LogTail, Series, Watch
from striate.train.watch.norms import Norms
from striate.train.watch.watch import ADVANCE, SHARE
from striate.train.watch.weights import UpdateLook

LENET = {"data": "digits", "size": 16, "threads": 1, "precision": "fp32", "channels_last": False, "pad": 1}
NETS: dict[str, dict[str, Any]] = {
    "LeNet-5, averaged": LENET,
    "LeNet-5, bf16, channels-last, two batches a step, clipped": LENET
    | {"precision": "bf16", "channels_last": True, "accumulate": 2, "clip_grad": 1.0},
    "batch norm and dropout": LENET
    | {"model": "mlp", "size": 8, "pad": 0}
    | {"model_settings": {"hidden": [32, 16], "batch_norm": True, "dropout": 0.3}, "optimizer": "adamw", "lr": 3e-3},
    "auxiliary heads": LENET | {"model": "deeply_fused20_8", "size": 32, "max_steps": 3},
}


@pytest.mark.parametrize("settings", NETS.values(), ids=NETS.keys())
def test_weights_are_bit_for_bit_the_same_with_the_watch_and_without(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("striate.train.watch.watch.SHARE", 1e9)  # look at every step
    for name, watch in (("with", True), ("without", False)):
        common = {"epochs": 2, "max_steps": 30, "output": str(tmp_path), "name": name, "watch": watch}
        start(settings_from({**common, **settings}), reporter_for(quiet=True))
    for file in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()
    looks = [sum(r["event"] == "watch" for r in read_log(tmp_path / name)) for name in ("with", "without")]
    steps = max(r["step"] for r in read_log(tmp_path / "with") if r["event"] == "end")
    assert looks[0] >= steps - 1
    assert looks[1] == 0


def test_a_look_holds_what_it_promises(tmp_path: Path) -> None:
    settings = LENET | {"epochs": 2, "output": str(tmp_path), "name": "run"}
    start(settings_from(settings), reporter_for(quiet=True))
    series = Series().add(LogTail(tmp_path / "run" / "log.jsonl").more())
    assert series.facts["classes"] == 10
    assert series.facts["chance_loss"] == pytest.approx(math.log(10), abs=1e-4)
    look = series.looks[0]
    assert look.step == 1
    layers = ["features.c1", "features.c3", "classifier.c5", "classifier.f6", "classifier.output"]
    assert [layer["name"] for layer in look.weights] == layers
    assert [layer["name"] for layer in look.activations][:2] == ["features.act1", "features.act3"]
    assert all(layer["gradient"] > 0 and layer["ratio"] > 0 for layer in look.weights)
    assert look.gradient >= max(layer["gradient"] for layer in look.weights)
    assert sum(look.activations[0]["histogram"]["counts"]) == 64 * 6 * 12 * 12
    assert series.epochs[0].predicted is not None
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert "update_ratio/features.c1" in board.Tags()["scalars"]
    assert "activations/features.act1" in board.Tags()["histograms"]


def test_an_update_is_measured_as_it_is_by_hand() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.randn(5, 6)).square().sum().backward()
    before = [p.detach().clone() for p in net.parameters()]
    look = UpdateLook(net, scale=4.0)
    optimizer.step()
    first, last = look.layers()
    assert (first.name, last.name, first.count) == ("0", "2", 48)
    moved = (net[0].weight.detach() - before[0]).norm() / before[0].norm()
    assert first.ratio == pytest.approx(moved.item(), rel=1e-5)
    assert first.gradient == pytest.approx(net[0].weight.grad.norm().item() / 4, rel=1e-5)
    every = torch.cat([p.grad.flatten() for p in net.parameters()]).norm().item() / 4
    assert look.total == pytest.approx(every, rel=1e-5)
    assert last.rms == pytest.approx(net[2].weight.square().mean().sqrt().item(), rel=1e-5)


@pytest.mark.parametrize("shape", [(64, 4), (64, 4, 5, 5)])
def test_norms_are_compared_with_the_batch_that_comes(shape: tuple[int, ...]) -> None:
    norm: Any = nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4)
    net = nn.Sequential(norm).train()
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 6 + 3
    with Norms(net) as seen:
        net(x)
    (layer,) = seen.layers()
    axes = [axis for axis in range(x.ndim) if axis != 1]
    variance, mean = torch.var_mean(x, axes, correction=0)
    assert layer.shift == pytest.approx(((mean - 1) / 2).square().mean().sqrt().item(), rel=1e-4)
    assert layer.scale == pytest.approx((variance / 4).sqrt().median().item(), rel=1e-4)
    net.eval()
    with Norms(net) as still:
        net(x)
    assert still.layers() == ()


def watched(folder: Path, *, total_steps: int, steps: int, step_seconds: float) -> tuple[Watch, list[int]]:
    """A made-up clock for steps, a look of a tiny net for whatever it takes: the watch, and the steps looked at."""
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    log = RunLog(folder)
    watch = Watch(net, log, total_steps=total_steps)
    for step in range(1, steps + 1):
        watch.begin(step, step * step_seconds)
        with watch.forward():
            net(torch.ones(2, 4)).sum().backward()
        watch.before_step()
        watch.after_step(step, 1, 0.1)
    log.close()
    return watch, [look.step for look in watch.series.looks]


def test_looks_are_paid_for_by_a_hundredth_of_the_training_time(tmp_path: Path) -> None:
    watch, looked = watched(tmp_path, total_steps=10_000, steps=2000, step_seconds=1e-3)
    assert looked[0] == 1
    assert len(looked) >= 2
    assert min(b - a for a, b in pairwise(looked)) >= 100, "a hundredth of the run at least"
    assert watch.charged_seconds <= SHARE * (2.0 + ADVANCE) + 2 * watch.charged_seconds / len(looked)


def test_a_run_of_no_time_is_looked_at_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    """What is paid in advance is not spent at the beginning: an illness of the end is seen, too."""
    _, looked = watched(tmp_path, total_steps=2000, steps=2000, step_seconds=1e-9)
    assert looked[0] == 1
    assert looked[-1] == 2000
    assert any(500 <= step <= 1500 for step in looked)


def test_a_resumed_run_does_not_say_twice_what_it_said_before(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write("step", step=1, epoch=1, loss=2.3)
    log.write("step", step=30, epoch=1, loss=9.4)
    log.write("diagnosis", illness="learning rate too high", evidence="", remedy="", serious=True)
    watch = Watch(nn.Linear(2, 2), log, total_steps=100)
    assert watch.epoch_ended() == []
    assert [one.illness for one in watch.conclude()] == ["learning rate too high"]
    log.close()
    assert [r["event"] for r in read_log(tmp_path)].count("diagnosis") == 1


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"event": "a"}\n{"event": ')
    tail = LogTail(path)
    assert [r["event"] for r in tail.more()] == ["a"]
    assert tail.more() == []
    with path.open("ab") as file:
        file.write(b'"b"}\n')
    assert [r["event"] for r in tail.more()] == ["b"]


def test_a_sick_run_says_so_at_its_end_and_in_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from striate.train.health import Diverged

    settings = LENET | {"lr": 2.0, "epochs": 2, "output": str(tmp_path), "name": "run"}
    with pytest.raises(Diverged):
        start(settings_from(settings), reporter_for(sys.stderr))
    said = capsys.readouterr().err
    assert "watch: learning rate too high: loss rose " in said
    assert "try --lr 0.2" in said
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [r["illness"] for r in records if r["event"] == "diagnosis"] == ["learning rate too high"]


def test_resume_takes_the_looks_up_where_they_were(tmp_path: Path) -> None:
    settings = LENET | {"epochs": 1, "output": str(tmp_path), "name": "run", "checkpoint_steps": 5}
    start(settings_from(settings), reporter_for(quiet=True))
    before = read_log(tmp_path / "run")
    resume(tmp_path / "run", reporter_for(quiet=True))
    after = read_log(tmp_path / "run")
    steps = [r["step"] for r in after if r["event"] == "watch"]
    assert steps == sorted(set(steps))
    assert [r["event"] for r in after if r["event"] != "watch"] == [r["event"] for r in before if r["event"] != "watch"]
