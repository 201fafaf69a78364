"""A comparison that was stopped goes on with the trials that it lacks, and with those of no other subject."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from striate.errors import StriateError
from striate.train.progress import Silent
from striate.train.transfer import trials
from striate.train.transfer.comparison import Comparison, Trial, compare
from striate.train.transfer.project import SOURCES, Project
from striate.train.transfer.trials import NAME, PAGE, stopped_in

SIZES, SEEDS = (2, 4), 2


def compared(project: Project, folder: Path, **options: Any) -> Comparison:
    return compare(project, Silent(), sizes=SIZES, seeds=SEEDS, plans=("probe", "few"), folder=folder, **options)


def test_what_was_stopped_goes_on_and_comes_to_the_same(project: Callable[..., Project], tmp_path: Path) -> None:
    made, folder, first, rest = project(), tmp_path / "mine", [], []

    def stop(trial: Trial) -> None:
        first.append(trial)
        if len(first) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compared(made, folder, told=stop)
    (folder / "few-2-1").mkdir()  # of the trial that a kill cut short
    (folder / "few-2-1" / "config.toml").touch()
    with (folder / NAME).open("ab") as file:
        file.write(b'{"per_class": 2, "se')
    notes: list[str] = []
    whole = compared(made, folder, told=rest.append, note=notes.append)
    assert notes[0] == f"{folder} has 3 trials already, which are not done again"
    assert [trial.key for trial in (*first, *rest)] == [trial.key for trial in whole.trials]
    assert len(rest) == 8 - 3
    alone = compared(made, tmp_path / "other")
    accuracies = [[trial.accuracy for trial in one.trials] for one in (whole, alone)]
    assert accuracies[0] == accuracies[1]
    assert not list(folder.glob("*/*.safetensors"))

    more: list[Trial] = []  # a comparison that is over is widened, and what it has is read
    compare(made, Silent(), sizes=(2,), seeds=3, plans=("probe",), told=more.append, folder=folder)
    assert [trial.key for trial in more] == [(2, 2, "probe")]


def test_trials_of_another_budget_or_of_other_images_are_not_taken(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    made, folder = project(), tmp_path / "mine"
    compare(made, Silent(), sizes=(2,), seeds=1, plans=("probe",), folder=folder)
    assert stopped_in(tmp_path, "mi", made) == folder
    dealt = dataclasses.replace(
        made.data, train=made.data.train.relabelled((made.data.train.labels + 1) % len(made.data.classes))
    )
    for other in (dataclasses.replace(made, steps=made.steps + 1), dataclasses.replace(made, data=dealt)):
        assert stopped_in(tmp_path, "mi", other) is None
        with pytest.raises(StriateError, match=r"mine compares other images, weights or settings; choose another --na"):
            compare(other, Silent(), sizes=(2,), seeds=1, plans=("probe",), folder=folder)
    (folder / PAGE).touch()
    assert stopped_in(tmp_path, "mi", made) is None, "what is over is not gone on with"


def test_a_comparison_that_was_killed_as_it_began_goes_on(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = project(), tmp_path / "mine"

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trials, "alone_in", killed)
        with pytest.raises(KeyboardInterrupt):
            compare(made, Silent(), sizes=(2,), seeds=1, plans=("probe",), folder=folder)
    assert stopped_in(tmp_path, "mi", made) == folder
    (folder / ".tmp-abc").mkdir()  # what a killed process was making
    (folder / ".tmp-abc" / "config.toml").touch()
    (folder / SOURCES).mkdir()
    (folder / SOURCES / ".tmp-abc.safetensors").touch()
    assert len(compare(made, Silent(), sizes=(2,), seeds=1, plans=("probe",), folder=folder).trials) == 1
    assert not list(folder.glob("**/.tmp-*"))


def test_a_folder_of_something_else_is_left_alone(project: Callable[..., Project], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(StriateError, match=r"mine exists; choose another --name"):
        compare(project(), Silent(), sizes=(2,), seeds=1, plans=("probe",), folder=tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
