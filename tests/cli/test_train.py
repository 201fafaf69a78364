"""`striate train`: flags and their layers, a whole run, resume, signals."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

import striate.face
import striate.train
from striate.cli import main
from striate.cli.app import app
from striate.cli.train import NOT_SETTINGS, train
from striate.train import Settings, read_toml

Run = Callable[..., subprocess.CompletedProcess[str]]
FAST = ["--model", "two_layer", "--precision", "fp32", "--no-channels-last", "--threads", "1", "-j", "1"]


def test_every_setting_is_a_flag_of_the_same_name_and_choices() -> None:
    """Name for name, but for the net's own settings, which --set gives."""
    flags = typing.get_type_hints(train)
    settings = typing.get_type_hints(Settings)
    tables = {"model_settings", "noise", "sample_weights"}
    assert set(flags) - {"ctx", "return"} - NOT_SETTINGS == set(settings) - tables
    for name in set(settings) & set(flags):
        assert _choices(settings[name]) == _choices(flags[name]), name


def _choices(hint: Any) -> set[str]:
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    return {choice for arg in typing.get_args(hint) for choice in _choices(arg)}


def test_every_flag_that_an_error_may_name_exists() -> None:
    """Settings are refused as `--their-name`; that has to be what the command takes."""
    command: Any = typer.main.get_command(app)
    taken = {option for parameter in command.commands["train"].params for option in parameter.opts}
    for field in dataclasses.fields(Settings):
        if field.name not in ("data", "model_settings", "noise", "sample_weights"):
            assert "--" + field.name.replace("_", "-") in taken


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The settings that a command line comes to, without the run."""

    def settings(*args: str) -> Settings:
        seen: list[Settings] = []

        class Stop(Exception):
            pass

        def start(settings: Settings, reporter: object) -> None:
            seen.append(settings)
            raise Stop

        monkeypatch.setattr(striate.train, "start", start)
        assert main(["train", *args]) == 1
        return seen[0]

    return settings


def test_nothing_given_is_the_defaults(told: Callable[..., Settings]) -> None:
    assert told() == Settings()


def test_flags_win_over_config_and_config_over_recipe(told: Callable[..., Settings], tmp_path: Path) -> None:
    recipe, config = tmp_path / "recipe.toml", tmp_path / "config.toml"
    recipe.write_text('description = "a"\nepochs = 1\nlr = 1.0\nseed = 1\ndata = "mnist"\n')
    config.write_text('epochs = 2\nlr = 2.0\n[model_settings]\npool = "max"\nactivation = "relu"\n')
    settings = told("--recipe", str(recipe), "--config", str(config), "--epochs", "3", "--set", "pool=avg")
    assert (settings.epochs, settings.lr, settings.seed, settings.data) == (3, 2.0, 1, "mnist")
    assert settings.model_settings == {"pool": "avg", "activation": "relu"}


def test_each_kind_of_flag(told: Callable[..., Settings]) -> None:
    settings = told(
        *["photos", "-m", "mlp", "-b", "8", "-j", "0", "--steps", "5", "--patience", "3", "--no-flip", "--strict"],
        *["--milestones", "60, 90", "--optimizer", "adamw", "--channels-last", "--set", "hidden=[64, 32]", "--lr", "1"],
        *["--set", "dropout=0.5"],
    )
    assert settings == Settings(
        data="photos",
        model="mlp",
        batch_size=8,
        workers=0,
        max_steps=5,
        early_stop=3,
        flip=False,
        strict=True,
        milestones=(60, 90),
        optimizer="adamw",
        channels_last=True,
        lr=1.0,
        model_settings={"hidden": [64, 32], "dropout": 0.5},
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--optimizer", "sdg"], "invalid value for '--optimizer': 'sdg' is not one of 'sgd', 'adamw'"),
        (["--epochs", "many"], "invalid value for '--epochs': "),
        (["--lr", "0"], "--lr 0.0: expected more than 0"),
        (["--epoch", "3"], "unknown option '--epoch'; did you mean '--epochs'?"),
        (["--recipe", "quik"], "unknown recipe 'quik'; did you mean 'quick'?"),
        (["--config", "none.toml"], "cannot read none.toml: No such file or directory"),
        (["--milestones", "60;90"], "--milestones 60;90: expected whole numbers with commas between, e.g. 60,90"),
        (["--set", "dropout"], "--set dropout: expected NAME=VALUE, e.g. dropout=0.5"),
        (
            ["runs/a", "--resume", "--lr", "1"],
            "a resumed run keeps its settings: --lr cannot change; only -j/--workers may",
        ),
        (
            ["runs/a", "--resume", "--recipe", "quick"],
            "a resumed run keeps its settings: --recipe cannot change; only -j/--workers may",
        ),
    ],
)
def test_usage_errors(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"striate train: error: {line}")
    assert err.count("\n") == 1


def test_a_run_from_nothing_to_its_report(striate: Run, tmp_path: Path) -> None:
    done = striate("train", *FAST, "--epochs", "2", "--name", "a", "--lr", "0.01")
    assert done.returncode == 0, done.stderr
    accuracy, model, report = done.stdout.splitlines()
    assert accuracy.startswith("test accuracy ")
    assert accuracy.split(" on ")[1].startswith("359 images, loss ")
    assert (model, report) == ("model   runs/a/best.safetensors", "report  runs/a/report.html")
    assert "epoch 1/2" in done.stderr
    assert "epoch 2/2" in done.stderr
    assert (tmp_path / "runs" / "a" / "report.html").stat().st_size > 1000
    assert read_toml(tmp_path / "runs" / "a" / "config.toml")["lr"] == 0.01
    again = striate("train", *FAST, "--name", "a")
    assert again.returncode == 1
    assert again.stderr.startswith(
        "striate train: error: run runs/a exists; choose another --name, or continue it with"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_resume_finds_the_newest_run(
    number: signal.Signals, code: int, striate: Run, tmp_path: Path
) -> None:
    log = tmp_path / "runs" / "a" / "log.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "striate.cli", "train", *FAST, "--epochs", "500", "--lr", "0.01", "--name", "a"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 600  # of a machine that has other work
            while not (log.exists() and '"epoch"' in log.read_text()):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode == code, err
    assert out == ""
    assert err.splitlines()[-1].endswith("; go on with: striate train --resume runs/a")
    text = (tmp_path / "runs" / "a" / "config.toml").read_text()
    (tmp_path / "runs" / "a" / "config.toml").write_text(text.replace("epochs = 500", "epochs = 1"))
    done = striate("train", "--resume", "-j", "2")
    assert done.returncode == 0, done.stderr
    assert "run runs/a goes on after step " in done.stderr
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[-1] == "end"


def test_resume_without_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["train", "--resume", "--output", str(tmp_path)]) == 1
    line = f"striate train: error: no run in {tmp_path} to resume; give its folder: striate train --resume RUN\n"
    assert capsys.readouterr().err == line


def test_resume_by_name_and_by_age(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []

    def resume(path: Path, reporter: object, *, workers: int | None) -> None:
        asked.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(striate.train, "resume", resume)
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        for file in ("config.toml", "log.jsonl"):
            (tmp_path / name / file).touch()
            os.utime(tmp_path / name / file, (1e9 - age, 1e9 - age))
    for args in ([], ["--name", "old"], [str(tmp_path / "old")]):
        assert main(["train", "--resume", "--output", str(tmp_path), *args]) == 130
    assert asked == [tmp_path / "new", tmp_path / "old", tmp_path / "old"]
