"""One trial: outcomes, what it leaves, where it goes on, and what it must never see."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from striate.errors import StriateError
from striate.search.materials import Materials, decoded
from striate.search.trial import run_trial
from striate.tasks import Classification
from striate.train import Settings, reporter_for, start
from striate.train.checkpoint import CheckpointFolder
from striate.train.log import read_log

SETTINGS = Settings(
    model="two_layer",
    model_settings={"hidden": 16},
    size=8,
    epochs=2,
    precision="fp32",
    channels_last=False,
    workers=1,
    lr=0.1,
    policy="none",
)


@pytest.fixture(scope="module")
def materials() -> Materials:
    return Materials(SETTINGS)


def never(epoch: int, accuracy: float) -> bool:
    return False


def test_a_trial_computes_what_a_run_computes(materials: Materials, tmp_path: Path) -> None:
    result = run_trial(SETTINGS, materials, tmp_path / "trial", never, keep_model=True)
    ended = start(SETTINGS.replace(output=str(tmp_path), name="run", threads=1), reporter_for(quiet=True))
    trained, expected = (load_file(folder / "best.safetensors") for folder in (tmp_path / "trial", ended.folder.path))
    assert trained.keys() == expected.keys()
    assert all(torch.equal(trained[name], expected[name]) for name in expected)
    row = next(r for r in reversed(read_log(tmp_path / "run")) if r["event"] == "epoch" and r["best"])
    assert result.outcome == "finished"
    assert (result.value, result.loss, result.epoch) == (row["val_accuracy"], row["val_loss"], row["epoch"])


def test_a_trial_keeps_little_and_never_the_test_part(materials: Materials, tmp_path: Path) -> None:
    assert materials.data.test is None
    run_trial(SETTINGS, materials, tmp_path / "trial", never, keep_model=False)
    assert {path.name for path in (tmp_path / "trial").iterdir()} == {"config.toml", "log.jsonl"}  # younger than one


def test_its_checkpoint_is_there_until_its_end_is_told(materials: Materials, tmp_path: Path) -> None:
    """It was removed first: a kill before the ledger knew began the trial anew."""
    run_trial(SETTINGS.replace(checkpoint_steps=5), materials, tmp_path / "trial", never, keep_model=False)
    assert CheckpointFolder(tmp_path / "trial" / "checkpoints", 1).steps()


@pytest.mark.parametrize("lr", [1e3, 1e30])
def test_an_explosion_and_a_nan_are_one_outcome_with_a_reason(materials: Materials, tmp_path: Path, lr: float) -> None:
    result = run_trial(SETTINGS.replace(lr=lr), materials, tmp_path / "trial", never, keep_model=True)
    assert (result.outcome, result.value) == ("exploded", None)
    assert "over 3× its first value" in result.cause or "the loss is" in result.cause


def test_a_validation_loss_that_is_no_number_has_exploded_too(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Classification.metrics

    def broken(self: object, decoded: object, target: object) -> object:
        return dataclasses.replace(inner(self, decoded, target), loss=float("nan"))  # type: ignore[arg-type]

    monkeypatch.setattr(Classification, "metrics", broken)
    result = run_trial(SETTINGS, materials, tmp_path / "trial", never, keep_model=False)
    assert (result.outcome, result.cause) == ("exploded", "diverged in epoch 1: the validation loss is nan")


def test_the_judge_hears_of_each_epoch_and_ends_the_trial(materials: Materials, tmp_path: Path) -> None:
    heard: list[int] = []

    def judge(epoch: int, accuracy: float) -> bool:
        heard.append(epoch)
        return epoch == 2

    result = run_trial(SETTINGS.replace(epochs=5), materials, tmp_path / "trial", judge, keep_model=False)
    assert (result.outcome, heard) == ("pruned", [1, 2])


class Killed(BaseException):
    """As a SIGKILL would: nothing after it is done."""


def test_a_killed_trial_goes_on_from_its_checkpoint_to_the_same_end(materials: Materials, tmp_path: Path) -> None:
    settings = SETTINGS.replace(epochs=3, checkpoint_steps=7)
    whole = run_trial(settings, materials, tmp_path / "whole", never, keep_model=True)

    def die(epoch: int, accuracy: float) -> bool:
        if epoch == 2:
            raise Killed
        return False

    with pytest.raises(Killed):
        run_trial(settings, materials, tmp_path / "killed", die, keep_model=True)
    assert CheckpointFolder(tmp_path / "killed" / "checkpoints", 1).steps()
    heard: list[int] = []
    again = run_trial(settings, materials, tmp_path / "killed", lambda e, _: bool(heard.append(e)), keep_model=True)
    assert heard == [2, 3]
    assert (again.value, again.loss) == (whole.value, whole.loss)
    models = [(tmp_path / name / "best.safetensors").read_bytes() for name in ("whole", "killed")]
    assert models[0] == models[1]


def test_settings_that_make_no_run_are_an_error(materials: Materials, tmp_path: Path) -> None:
    bad = SETTINGS.replace(model_settings={"hiden": 3})
    with pytest.raises(StriateError, match="hiden"):
        run_trial(bad, materials, tmp_path / "trial", never, keep_model=False)


def test_without_validation_images_there_is_nothing_to_choose_by() -> None:
    with pytest.raises(StriateError, match="a search chooses by validation images; give --val-fraction"):
        Materials(SETTINGS.replace(val_fraction=0.0))


def folder_of(tmp_path: Path, sizes: list[tuple[int, int]]) -> Path:
    generator = np.random.Generator(np.random.Philox(1))
    for number, size in enumerate(sizes * 8):
        path = tmp_path / "images" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 255, (*size, 3), np.uint8)).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    return tmp_path / "images"


@pytest.mark.parametrize("sizes", [[(12, 12)], [(12, 14), (9, 10)]], ids=["one size", "two sizes"])
def test_images_decoded_once_are_the_same_images(tmp_path: Path, sizes: list[tuple[int, int]]) -> None:
    from striate.data import open as open_data

    files = open_data(folder_of(tmp_path, sizes)).train
    held = decoded(files, 3, 1 << 20, 2)
    assert held.held
    assert [held.key(i) for i in range(len(held))] == [files.key(i) for i in range(len(files))]
    assert (held.labels == files.labels).all()
    assert all((held.pixels(i, c) == files.pixels(i, c)).all() for i in range(len(files)) for c in (3,))
    some = held.subset([3, 1])
    assert (some.pixels(0, 3) == files.pixels(3, 3)).all()
    assert some.key(1) == files.key(1)
    assert decoded(files, 3, 1000, 2) is files
