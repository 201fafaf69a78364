"""Pull the plug, for real, wherever it hurts most: the run that is resumed ends byte for byte like one left alone."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.data import ArraySamples, Dataset
from striate.data import open as open_data
from striate.data.pack.writer import write_pack
from striate.errors import StriateError
from striate.nets.weights import load_model
from striate.train import reporter_for, resume, settings_from, start
from striate.train.checkpoint import CheckpointFolder
from striate.train.lock import alone_in
from striate.train.log import read_log

DRIVER = Path(__file__).with_name("killed_run.py")

# Ten updates an epoch (1,294 training digits in batches of 128), a checkpoint at every third.
SETTINGS = {"data": "digits", "epochs": 2, "batch_size": 128, "checkpoint_steps": 3, "seed": 3, "name": "run"}
# Each point is reached in a process of its own, which resumes what the one before it left, with other loader threads.
# `update:4` and `update:2` lie in one epoch; `tensors` and `seal` are inside the writing of a checkpoint.
EVERYWHERE = [
    ("update:1", 0),
    ("update:4", 1),
    ("update:2", 2),
    ("validate:1", 4),
    ("tensors:1", 2),
    ("log:1", 1),
    ("seal:1", 0),
]
FEW = [("update:4", 1), ("tensors:1", 4), ("validate:1", 0)]
CASES = {
    "1 thread: lenet5, SGD, averaged weights": (
        {"model": "lenet5", "ema": 0.9, "schedule": "onecycle", "threads": 1},
        EVERYWHERE,
    ),
    "2 threads: mlp with dropout and batch norm, AdamW, accumulation, plateau": (
        {
            "model": "mlp",
            "model_settings": {"hidden": [32, 16], "dropout": 0.3, "batch_norm": True},
            "size": 8,
            "optimizer": "adamw",
            "lr": 3e-3,
            "accumulate": 3,
            "schedule": "plateau",
            "plateau_epochs": 1,
            "threads": 2,
            "checkpoint_steps": 1,
        },
        FEW,
    ),
    "1 thread: mlp under strong noise, mixed, some classes oftener": (
        {"model": "mlp", "model_settings": {"hidden": [16]}, "size": 16, "threads": 1}
        | {"policy": "strong", "mixup": 0.4, "cutmix": 1.0}
        | {"sampling": "own", "sample_weights": {"class": {"3": 2.5, "7": 0.5}}},
        FEW,
    ),
    "1 thread: mlp with batch norm, frozen in part, unfreezing, pulled to its beginning, its head a probe": (
        {"model": "mlp", "model_settings": {"hidden": [16, 12, 8], "batch_norm": True}, "size": 8, "threads": 1}
        | {"freeze": "features.affine1", "unfreeze_epochs": 1, "depth_decay": 0.5, "anchor": 0.01, "head_probe": True},
        FEW,
    ),
    "4 threads: lenet5, bf16, channels-last": (
        {"model": "lenet5", "size": 28, "precision": "bf16", "channels_last": True, "threads": 4},
        FEW,
    ),
}


def run_killed(settings_file: Path, kill: str | None, workers: int) -> None:
    command = [sys.executable, str(DRIVER), str(settings_file), "--workers", str(workers)]
    done = subprocess.run([*command, *(["--kill", kill] if kill else [])], capture_output=True, text=True, check=False)
    expected = -signal.SIGKILL if kill else 0
    assert done.returncode == expected, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("net", "kills"), CASES.values(), ids=CASES.keys())
def test_a_killed_and_resumed_run_ends_byte_for_byte_like_one_left_alone(
    tmp_path: Path, net: dict[str, object], kills: list[tuple[str, int]]
) -> None:
    common = {"precision": "fp32", "channels_last": False, **SETTINGS, **net}
    whole, broken = tmp_path / "whole.json", tmp_path / "broken.json"
    whole.write_text(json.dumps({**common, "output": str(tmp_path / "whole")}))
    broken.write_text(json.dumps({**common, "output": str(tmp_path / "broken")}))
    run_killed(whole, None, workers=2)
    for kill, workers in kills:
        run_killed(broken, kill, workers)
    run_killed(broken, None, workers=2)
    for name in ("last.safetensors", "best.safetensors"):
        expected, found = (tmp_path / which / "run" / name for which in ("whole", "broken"))
        assert found.read_bytes() == expected.read_bytes(), f"{name} differs"
    checkpoints = [CheckpointFolder(tmp_path / which / "run" / "checkpoints", keep=2) for which in ("whole", "broken")]
    assert checkpoints[0].steps() == checkpoints[1].steps()
    expected_state, found_state = (folder.load(folder.steps()[-1]) for folder in checkpoints)
    assert found_state.tensors.keys() == expected_state.tensors.keys()
    for name, tensor in expected_state.tensors.items():
        assert found_state.tensors[name].numpy().tobytes() == tensor.numpy().tobytes(), name
    logs = [[_timeless(record) for record in read_log(tmp_path / which / "run")] for which in ("whole", "broken")]
    for log in logs:  # when the watch looks is a matter of the clock
        log[:] = [record for record in log if record["event"] not in ("watch", "diagnosis")]
    assert logs[0] == logs[1]


def _timeless(record: dict[str, object]) -> dict[str, object]:
    times = {"time", "started", "seconds", "images_per_second", "data_wait_share", "waits"}
    return {name: value for name, value in record.items() if name not in times}


@pytest.fixture
def short(tmp_path: Path) -> dict[str, object]:
    return {
        **SETTINGS,
        "model": "mlp",
        "model_settings": {"hidden": [8]},
        "size": 8,
        "precision": "fp32",
        "epochs": 1,
        "keep": 2,
        "output": str(tmp_path),
    }


def test_a_damaged_checkpoint_is_passed_over_and_named(
    tmp_path: Path, short: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    expected = (tmp_path / "run" / "last.safetensors").read_bytes()
    newest = max((tmp_path / "run" / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1])
    resume(tmp_path / "run", reporter_for(sys.stderr))
    said = capsys.readouterr().err
    assert f"warning: checkpoint {newest} is damaged: its SHA-256 does not match; using the one before it" in said
    assert "goes on after step 9" in said
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == expected


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, short: dict[str, object]) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    expected = (tmp_path / "run" / "last.safetensors").read_bytes()
    ended = resume(tmp_path / "run", reporter_for(quiet=True))
    assert ended.outcome.kind == "finished"
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == expected


def test_a_run_that_is_over_is_not_begun_anew_where_its_checkpoints_are_gone(
    tmp_path: Path, short: dict[str, object]
) -> None:
    folder = start(settings_from({**short, "output": str(tmp_path)}), reporter_for(quiet=True)).folder
    shutil.rmtree(folder.checkpoints)
    before = {path: path.read_bytes() for path in (folder.log, folder.best, folder.report)}
    with pytest.raises(
        StriateError, match=r"run .* is over, and no checkpoint of it is left to go on from; start a new"
    ):
        resume(folder.path, reporter_for(quiet=True))
    assert {path: path.read_bytes() for path in before} == before


def test_other_data_are_refused(tmp_path: Path, short: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    others = open_data("digits", val_fraction=0.2)
    assert len(others.train) != 1294
    monkeypatch.setattr("striate.train.run.open_data", lambda _: others)
    with pytest.raises(
        StriateError, match=r"its data changed: 1294 training images of 10 classes then, 11\d\d of 10 now"
    ):
        resume(tmp_path / "run", reporter_for(quiet=True))


@pytest.mark.parametrize("kind", ["files", "pack", "memory"])
def test_other_pixels_under_the_same_names_are_refused(
    tmp_path: Path, short: dict[str, object], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What a checkpoint went by were names and labels: a folder resized, or mended, meanwhile made another run."""
    rng, photos = np.random.default_rng(0), tmp_path / "photos"
    for i in range(12):
        (photos / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(photos / "ab"[i % 2] / f"{i}.png")

    def packed(data: Dataset) -> Dataset:
        return open_data(write_pack(data, tmp_path / "photos.arrow", overwrite=True).path)

    def held(data: Dataset) -> Dataset:
        images = np.stack([data.train.pixels(i, 1) for i in range(len(data.train))])
        return dataclasses.replace(data, train=ArraySamples(images, data.train.labels), test=None)

    def opened(_: object) -> Dataset:
        return {"files": lambda data: data, "pack": packed, "memory": held}[kind](open_data(photos))

    monkeypatch.setattr("striate.train.run.open_data", opened)
    start(settings_from(short, {"batch_size": 4}), reporter_for(quiet=True))
    resume(tmp_path / "run", reporter_for(quiet=True))
    if kind == "files":  # a folder may be packed meanwhile: its sums are others, and its tensors the same
        monkeypatch.setattr("striate.train.run.open_data", lambda _: packed(open_data(photos)))
        resume(tmp_path / "run", reporter_for(quiet=True))
        monkeypatch.setattr("striate.train.run.open_data", opened)
    key = next(i for i in range(12) if f"/{i}.png" in open_data(photos).train.name(0))
    Image.new("L", (8, 8), 7).save(photos / "ab"[key % 2] / f"{key}.png")
    with pytest.raises(StriateError) as caught:
        resume(tmp_path / "run", reporter_for(quiet=True))
    assert str(caught.value) == (
        f"cannot go on with {tmp_path / 'run'}: its training images changed, though they are called as before; "
        "put them back, or start a new run"
    )


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        (
            "batch_size = 128",
            "batch_size = 32",
            r"batch_size was 128 and is 32 in .*config\.toml; put it back, or start",
        ),
        ('optimizer = "sgd"', 'optimizer = "adamw"', "optimizer was sgd and is adamw in "),
        ("val_fraction = 0.1", "val_fraction = 0.2", "val_fraction was 0.1 and is 0.2 in "),
        ("epochs = 1", 'epochs = "x"', r"config\.toml: --epochs: expected "),
        ("epochs = 1", "epochs = 1\nfoo = 1", r"config\.toml: unknown setting 'foo'"),
    ],
)
def test_a_config_that_was_edited_is_refused(
    tmp_path: Path, short: dict[str, object], then: str, now: str, message: str
) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    config = tmp_path / "run" / "config.toml"
    text = config.read_text()
    assert then in text
    config.write_text(text.replace(then, now))
    with pytest.raises(StriateError, match=message):
        resume(tmp_path / "run", reporter_for(quiet=True))
    config.write_text(text.replace("keep = 2", "keep = 3").replace("workers = 2", "workers = 1"))
    resume(tmp_path / "run", reporter_for(quiet=True))  # what changes no bit of a model may change


def test_weights_are_pulled_back_to_those_that_were_asked_for(tmp_path: Path, short: dict[str, object]) -> None:
    """--anchor with --init: where a run began is not the net's own beginning."""
    given = {**short, "epochs": 2, "lr": 0.02, "anchor": 0.01, "init": "xavier"}
    start(settings_from(given), reporter_for(quiet=True))
    last = tmp_path / "run" / "last.safetensors"
    expected = last.read_bytes()
    for path in (tmp_path / "run" / "checkpoints").glob("step-000000020*"):
        path.unlink()
    resume(tmp_path / "run", reporter_for(quiet=True))
    assert last.read_bytes() == expected


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_the_best_model_is_made_again_from_its_checkpoint(
    tmp_path: Path, short: dict[str, object], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    start(settings_from({**short, "ema": 0.9}), reporter_for(quiet=True))
    best = tmp_path / "run" / "best.safetensors"
    expected, card = load_model(best)
    if damage == "cut":
        best.write_bytes(best.read_bytes()[:1000])
    else:
        best.unlink()
    resume(tmp_path / "run", reporter_for(sys.stderr))
    assert "made again from the checkpoint at step 10" in capsys.readouterr().err
    found, again = load_model(best)
    assert again == card
    for name, tensor in expected.state_dict().items():
        assert found.state_dict()[name].equal(tensor), name


@pytest.mark.parametrize("left", [0, 100])
def test_a_log_that_was_lost_is_not_filled_up(
    tmp_path: Path, short: dict[str, object], capsys: pytest.CaptureFixture[str], left: int
) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(log.read_bytes()[:left])
    resume(tmp_path / "run", reporter_for(sys.stderr))
    assert re.search(r"warning: .*log\.jsonl lacks [\d,]+ bytes of what was logged", capsys.readouterr().err)
    assert b"\0" not in log.read_bytes()
    assert (tmp_path / "run" / "report.html").is_file()
    log.write_bytes(log.read_bytes() + b"\0\0\0\n\xff\xfe{}\n")
    assert read_log(tmp_path / "run")[-1]["event"] == "end"


def test_one_process_at_a_time(tmp_path: Path, short: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    start(settings_from(short), reporter_for(quiet=True))
    half = tmp_path / "run" / ".tmp-half.safetensors"  # of a killed process
    half.write_bytes(b"half")
    unsealed = tmp_path / "run" / "checkpoints" / "step-000000003-0123456789ab.safetensors"  # killed
    unsealed.write_bytes(b"whole")
    with (
        alone_in(tmp_path / "run"),
        pytest.raises(
            StriateError, match=rf"run .*run is being trained by process {os.getpid()}; wait for it, or stop"
        ),
    ):
        resume(tmp_path / "run", reporter_for(sys.stderr))
    assert half.exists()
    assert (
        capsys.readouterr().err == ""
    )  # before the data are read, and before a checkpoint is that may not stay newest
    resume(tmp_path / "run", reporter_for(quiet=True))
    assert not half.exists()
    assert not unsealed.exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match=r"is not a run: it has no config\.toml"):
        resume(tmp_path, reporter_for(quiet=True))
    (tmp_path / "lenet5-digits").mkdir()
    with pytest.raises(StriateError, match=r"^no run .*lenet-digits$"):  # a folder is not yet a run
        resume(tmp_path / "lenet-digits", reporter_for(quiet=True))
    (tmp_path / "lenet5-digits" / "config.toml").write_text("")
    with pytest.raises(StriateError, match=r"unknown run in .*'lenet-digits'; did you mean 'lenet5-digits'\?"):
        resume(tmp_path / "lenet-digits", reporter_for(quiet=True))
