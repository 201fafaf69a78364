"""A run's folder as it is made."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from striate.atomic import TEMPORARY_PREFIX
from striate.cli.data_show import show
from striate.errors import StriateError
from striate.evaluate.exam import model_path
from striate.train import RunFolder, Settings
from striate.train.check.begin import subject_of
from striate.train.transfer.source import open_source


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o700), (0o022, 0o755), (0o002, 0o775)])
def test_it_is_as_open_as_the_umask_says(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        folder = RunFolder.create(Settings(output=str(tmp_path / "runs")), "net-data")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == mode


def test_what_a_killed_process_was_making_is_no_run(tmp_path: Path) -> None:
    """Between its config and its name a kill leaves a folder that `--resume` took for the newest run."""
    made = RunFolder.create(Settings(output=str(tmp_path)), "net-data").path
    shutil.copytree(made, tmp_path / f"{TEMPORARY_PREFIX}4f")
    assert RunFolder.all_in(tmp_path) == [made]
    assert RunFolder.all_in(tmp_path / "none") == []


def test_a_name_too_long_for_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match=r"^cannot make a run in .*: File name too long; choose a shorter --name$"):
        RunFolder.create(Settings(output=str(tmp_path)), "n" * 300)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [None, object(), {3: 1}], ids=["None", "an object", "a number for a name"])
def test_what_no_config_could_hold_is_refused_before_any_work(tmp_path: Path, value: object) -> None:
    settings = Settings(output=str(tmp_path), model_settings={"hidden": value})
    with pytest.raises(StriateError, match=r"^a run's config cannot hold these settings: "):
        RunFolder.check_free(settings)


def test_the_newest_run_is_the_one_that_was_written_to_last(tmp_path: Path) -> None:
    assert RunFolder.newest_in(tmp_path) is None
    old, new = (RunFolder.create(Settings(output=str(tmp_path)), "net-data") for _ in range(2))
    old.log.touch()
    for seconds, file in ((10, old.config), (20, new.config), (30, old.log)):
        os.utime(file, (seconds, seconds))
    assert RunFolder.newest_in(tmp_path) == old.path
    os.utime(new.config, (40, 40))
    assert RunFolder.newest_in(tmp_path) == new.path


def test_a_run_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    """Whoever asks: evaluate and predict, `check`, `data show`, `transfer --from`."""
    run = RunFolder.create(Settings(output=str(tmp_path)), "net data")
    message = f"{run.path} has no model yet, its first epoch is not done; let it end, or go on with: striate train "
    message += f"--resume '{run.path}'"
    asked: list[Callable[[], object]] = [
        run.trained_model,
        lambda: model_path(run.path),
        lambda: open_source(str(run.path)),
        lambda: subject_of(Settings(model=str(run.path))),
        lambda: show(str(run.path)),
    ]
    for ask in asked:
        with pytest.raises(StriateError) as told:
            ask()
        assert str(told.value) == message
    run.last.touch()
    assert run.trained_model() == run.last
