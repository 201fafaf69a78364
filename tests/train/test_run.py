"""A run as a whole: what it leaves, how it ends, and what it refuses before it writes anything."""

import dataclasses
import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from striate.errors import StriateError
from striate.nets.weights import load_model, save_model
from striate.pages.wording import decimal
from striate.train import Ended, reporter_for, settings_from, start
from striate.train.health import Diverged
from striate.train.log import read_log
from striate.train.story import history


@pytest.fixture
def quick(quick: dict[str, Any]) -> dict[str, Any]:
    """Two epochs, of images as they are."""
    return {**quick, "pad": 0, "epochs": 2}


def train(settings: dict[str, Any]) -> Ended:
    return start(settings_from(settings), reporter_for(quiet=True))


def test_the_folder_holds_what_it_promises(tmp_path: Path, quick: dict[str, Any]) -> None:
    ended = train(quick)
    folder = tmp_path / "run"
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "best.safetensors",
        "checkpoints",
        "config.toml",
        "last.safetensors",
        "log.jsonl",
        "report.html",
        "tensorboard",
    }
    assert ended.final is not None
    assert (ended.final.part, ended.final.samples) == ("test", 359)
    rows = history(folder)
    assert [row.epoch for row in rows] == [1, 2]
    assert [row.step for row in rows] == [20, 40]
    assert rows[1].train_loss < rows[0].train_loss
    events = [record["event"] for record in read_log(folder)]
    assert events[0] == "start"
    assert events[-1] == "end"
    _, card = load_model(folder / "best.safetensors")
    assert card.classes == tuple("0123456789")
    assert card.metrics["val_accuracy"] == max(row.val_accuracy or 0 for row in rows)


def test_one_seed_gives_one_run_and_another_gives_another(tmp_path: Path, quick: dict[str, Any]) -> None:
    for name, seed, workers in [("a", 0, 0), ("b", 0, 3), ("c", 1, 0)]:
        train({**quick, "name": name, "seed": seed, "workers": workers, "epochs": 1})
    a, b, c = ((tmp_path / name / "last.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_pretrained_weights_bring_the_preprocessing_they_are_used_to(tmp_path: Path, quick: dict[str, Any]) -> None:
    train({**quick, "epochs": 1})
    first = tmp_path / "run" / "last.safetensors"
    net, card = load_model(first)
    used_to = {**card.preprocess, "mean": [0.25], "std": [0.75]}
    save_model(tmp_path / "other.safetensors", net, dataclasses.replace(card, preprocess=used_to))
    for name, weights in [("tuned", first), ("other", tmp_path / "other.safetensors")]:
        train({**quick, "name": name, "epochs": 1, "pretrained": str(weights)})
    _, tuned = load_model(tmp_path / "tuned" / "last.safetensors")
    _, other = load_model(tmp_path / "other" / "last.safetensors")
    assert tuned.preprocess == card.preprocess
    assert (other.preprocess["mean"], other.preprocess["std"]) == ([0.25], [0.75])


def test_the_resolved_config_repeats_the_run(tmp_path: Path, quick: dict[str, Any]) -> None:
    train(quick)
    from striate.train import read_toml

    again = {**read_toml(tmp_path / "run" / "config.toml"), "name": "again"}
    train(again)
    first, second = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("run", "again"))
    assert first == second


def test_accumulated_batches_are_one_large_batch(tmp_path: Path, quick: dict[str, Any]) -> None:
    """The MLP has no batch statistics, so two halves must give the gradient of the whole."""
    common = {**quick, "optimizer": "sgd", "max_steps": 5, "flip": False}
    train({**common, "name": "whole", "batch_size": 64})
    train({**common, "name": "halves", "batch_size": 32, "accumulate": 2})
    whole, halves = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "halves"))
    for name in whole:
        torch.testing.assert_close(halves[name], whole[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_step_limit_ends_within_an_epoch(tmp_path: Path, quick: dict[str, Any]) -> None:
    ended = train({**quick, "max_steps": 7})
    assert ended.outcome.sentence == "1 epoch, 7 steps"
    assert [row.step for row in history(tmp_path / "run")] == [7]


def test_early_stopping_says_when_the_best_was(tmp_path: Path, quick: dict[str, Any]) -> None:
    ended = train({**quick, "epochs": 9, "early_stop": 2, "lr": 1e-12})
    assert ended.outcome.kind == "stopped early"
    assert ended.outcome.sentence == "no better validation error for 2 epochs; the best was epoch 1"
    assert "no better validation error for 2 epochs" in (tmp_path / "run" / "report.html").read_text()


def test_without_a_validation_part_the_last_weights_are_kept(tmp_path: Path, quick: dict[str, Any]) -> None:
    ended = train({**quick, "val_fraction": 0.0})
    assert ended.final is not None
    assert ended.final.part == "test"
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert all(row.val_loss is None for row in history(tmp_path / "run"))


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"precision": "fp16"},
        {"ema": 0.9},
        {"clip_grad": 0.1},
        {"optimizer": "adamw", "lr": 1e-2},
        {"schedule": "step", "milestones": [1]},
        {"schedule": "onecycle"},
        {"label_smoothing": 0.1, "warmup_epochs": 1},
        {"model": "lenet5", "model_settings": {}, "size": 32, "channels_last": True},
        {"model": "lenet5", "model_settings": {}, "size": 28, "channels": 3},
    ],
    ids=str,
)
def test_every_setting_learns(quick: dict[str, Any], changes: dict[str, Any]) -> None:
    ended = train({**quick, "epochs": 4, **changes})
    assert ended.final is not None
    assert ended.final.accuracy > 0.5  # a guess is right once in ten


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler uses torch's own old names
def test_a_compiled_net_learns_and_its_weights_keep_their_names(tmp_path: Path, quick: dict[str, Any]) -> None:
    train({**quick, "name": "plain", "epochs": 1})
    train({**quick, "name": "compiled", "epochs": 1, "compile": True})
    plain, compiled = (load_file(tmp_path / name / "last.safetensors") for name in ("plain", "compiled"))
    assert plain.keys() == compiled.keys()
    for name in plain:
        torch.testing.assert_close(compiled[name], plain[name], rtol=1e-3, atol=1e-4, msg=name)


def test_an_exploding_loss_ends_the_run_with_its_cause(tmp_path: Path, quick: dict[str, Any]) -> None:
    with pytest.raises(Diverged) as caught:
        train({**quick, "lr": 1e4, "checkpoint_steps": 1, "schedule": "constant"})
    message = str(caught.value)
    assert "\n" not in message
    for part in ("diverged at step ", "likely cause: the learning rate, 1e+04, is too high", "try --lr 1000"):
        assert part in message
    assert "the last good checkpoint is step " in message
    assert read_log(tmp_path / "run")[-1]["outcome"] == "diverged"
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Diverged: at step " in report
    sick = next(record for record in read_log(tmp_path / "run") if record["event"] == "sick")
    assert f"{decimal(sick['loss'])} at step {sick['step']}." in report  # the last of the chart of steps


def test_a_taken_name_is_refused_before_any_work(tmp_path: Path, quick: dict[str, Any]) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(
        StriateError, match=r"run .*run exists; choose another --name, or continue it with striate train --res"
    ):
        train({**quick, "data": "no-such-data"})
    assert list((tmp_path / "run").iterdir()) == []


def test_unnamed_runs_are_numbered(tmp_path: Path, quick: dict[str, Any]) -> None:
    for _ in range(3):
        train({**quick, "name": None, "max_steps": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlp-digits", "mlp-digits-2", "mlp-digits-3"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "lenet"}, r"unknown net 'lenet'; did you mean 'lenet5'\?"),
        ({"data": "digit"}, r"did you mean 'digits'\?"),
        ({"model": "lenet5", "model_settings": {}, "size": 8}, r"lenet5 cannot take 8×8 images"),
        ({"model_settings": {"hiden": [3]}}, r"unknown setting of mlp 'hiden'; did you mean 'hidden'\?"),
        ({"device": "gpu"}, r"--device 'gpu' is not a device torch knows; try cpu, cuda or cuda:1"),
        ({"name": "a/b"}, r"--name 'a/b' is not a plain name; put the folder in --output"),
        ({"pretrained": "absent.safetensors"}, r"absent\.safetensors"),
    ],
)
def test_what_cannot_begin_writes_nothing(
    tmp_path: Path, quick: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StriateError, match=message):
        train({**quick, **changes})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, quick: dict[str, Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StriateError, match=r"cannot make a run in .*file: .*; choose --output"):
        train({**quick, "output": str(tmp_path / "file")})
    with pytest.raises(StriateError, match=r"cannot make a run in .*/file/runs: Not a directory; choose --output"):
        train({**quick, "data": "missing/", "output": str(tmp_path / "file" / "runs")})  # before data are looked for


def test_a_disk_that_fills_up_ends_the_run_with_one_line(
    tmp_path: Path, quick: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, saved = os.replace, 0

    def full_at_the_second_checkpoint(source: Any, target: Any) -> None:
        nonlocal saved
        if Path(target).parent.name == "checkpoints" and Path(target).suffix == ".safetensors":
            saved += 1
            if saved == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_at_the_second_checkpoint)
    with pytest.raises(StriateError, match=r"cannot write .*step-000000040-\w{12}\.safetensors: the disk is full"):
        train(quick)
    names = sorted((path.name[:14], path.suffix) for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == [("step-000000020", ".json"), ("step-000000020", ".safetensors")]


def test_history_rows_are_the_logs(tmp_path: Path, quick: dict[str, Any]) -> None:
    train({**quick, "epochs": 1})
    (row,) = history(tmp_path / "run")
    record = next(record for record in read_log(tmp_path / "run") if record["event"] == "epoch")
    assert dataclasses.asdict(row).items() <= record.items()


def test_an_epoch_that_ends_sick_is_neither_the_best_nor_a_checkpoint(tmp_path: Path, quick: dict[str, Any]) -> None:
    """The last update of an epoch broke the net, and no batch after it showed it."""
    with pytest.raises(Diverged, match=r"diverged in epoch 1: .*; there is no checkpoint yet"):
        train({**quick, "lr": 1e38, "epochs": 1, "max_steps": 1})
    run = tmp_path / "run"
    assert not (run / "best.safetensors").exists()
    assert not list(run.glob("checkpoints/*"))
    assert "NaN" not in (run / "log.jsonl").read_text()


def test_the_logged_rate_is_that_of_the_epochs_last_step(tmp_path: Path, quick: dict[str, Any]) -> None:
    train({**quick, "epochs": 3, "lr": 1e-9, "schedule": "plateau", "plateau_epochs": 1, "gamma": 0.5})
    rates = [record["learning_rate"] for record in read_log(tmp_path / "run") if record["event"] == "epoch"]
    assert rates == [1e-9, 1e-9, 5e-10]


def test_a_run_outlives_whoever_read_its_lines(tmp_path: Path, quick: dict[str, Any]) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    start(settings_from(quick), reporter_for(Closed()))
    assert (tmp_path / "run" / "report.html").is_file()
