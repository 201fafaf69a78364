"""Whole searches in processes of their own: from coarse to fine, and through kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from striate.errors import StriateError
from striate.evaluate import evaluate
from striate.search.begin import conclude_plan, go_on, prepared, start_folder
from striate.search.conduct import DEATHS, Team, open_next
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Record
from striate.search.plan import Plan
from striate.search.ranking import all_records, settle
from striate.search.samplers import pruner_for, sampler_for
from striate.search.storage import open_storage
from striate.search.view import Nothing
from striate.train import load_recipe, reporter_for

FIXED = {"model": "two_layer", "size": "8", "policy": "none", "precision": "fp32", "workers": "0"}
SPACE = {"lr": "1e-3:1:log", "weight_decay": "1e-6:1e-2:log"}


def folder_of(plan: Plan, output: Path, storage: str | None = None, name: str | None = None) -> SearchFolder:
    plan, data_name = prepared(plan, 1, reporter_for(quiet=True))
    return start_folder(plan, data_name, output=output, name=name, storage=storage)


def records_of(folder: SearchFolder) -> list[Record]:
    return all_records(Ledger(open_storage(folder.storage), folder.name), folder.plan())


@pytest.mark.slow
def test_a_search_from_coarse_to_fine_leaves_a_recipe_a_ranking_and_its_best_models(tmp_path: Path) -> None:
    folder = folder_of(conclude_plan("digits", FIXED, SPACE, stages="6x1,3x2", keep=2), tmp_path)
    found = go_on(folder, 2, Nothing())
    records = records_of(folder)
    assert [record.stage for record in records] == [0] * 6 + [1] * 3
    assert all(record.ended for record in records)
    best = found.ranked[0]
    assert best.value == max(record.value for record in records if record.value is not None)
    first, second = found.ledger.space(0), found.ledger.space(1)
    assert first == found.plan.space
    assert second != first
    assert any(sentence.startswith("lr 0.001 … 1") for sentence in found.ledger.said(1))

    recipe = load_recipe(str(folder.best))
    assert {name: recipe.settings[name] for name in SPACE} == best.values
    assert recipe.settings["epochs"] == found.plan.stages[best.stage].epochs
    assert "output" not in recipe.settings
    assert recipe.reached["chosen_from"] == 9

    kept = [path.parent.name for path in folder.trials.glob("*/best.safetensors")]
    assert sorted(kept) == sorted(record.key for record in found.ranked[:2])
    both = evaluate(folder.path, best=2)
    assert len(both.models) == 2
    alone = evaluate(folder.path, part="val")
    assert alone.metrics.accuracy == best.value
    with pytest.raises(StriateError, match=r"has kept 2 models, and 3 are asked for; search with --keep 3"):
        evaluate(folder.path, best=3)
    assert folder.report.stat().st_size > 5000


class Killer:
    """A view that kills a worker, for real, when it first sees `count` trials ended and one running."""

    def __init__(self, count: int) -> None:
        self.count, self.victim, self.notes = count, "", list[str]()
        self.ended_before: dict[int, float | None] = {}

    def stage(self, stage: int, ledger: Ledger) -> None:
        pass

    def look(self, stage: int, records: list[Record]) -> None:
        running = [record for record in records if record.outcome == "running" and record.owner]
        ended = {record.number: record.value for record in records if record.ended}
        if self.victim or not running or len(ended) < self.count:
            return
        self.victim, self.ended_before = running[0].name, ended
        os.kill(int(running[0].owner.split("#")[1]), signal.SIGKILL)

    def note(self, line: str) -> None:
        self.notes.append(line)

    def close(self) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_killing_a_worker_loses_at_most_its_running_trial(tmp_path: Path, kind: str) -> None:
    storage = f"journal:{tmp_path}/shared.journal" if kind == "journal" else None
    name = "mine" if storage else None
    plan = conclude_plan("digits", {**FIXED, "checkpoint_steps": "5"}, SPACE, stages="6x20", pruner="none")
    folder = folder_of(plan, tmp_path, storage, name)
    killer = Killer(1)
    go_on(folder, 2, killer)
    assert killer.victim
    assert f"trial {killer.victim} lost its worker; it goes on from its last checkpoint" in killer.notes
    records = records_of(folder)
    assert len(records) == 6
    assert all(record.ended and record.outcome != "failed" for record in records)
    assert {number: records[number].value for number in killer.ended_before} == killer.ended_before
    assert {len(record.curve) for record in records if record.outcome == "finished"} == {20}


@pytest.fixture
def search_process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    begun: list[subprocess.Popen[str]] = []

    def begin(*args: str) -> subprocess.Popen[str]:
        code = (
            "import signal, sys; from striate.cli import main\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
            "sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", code, "search", *args]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def ended(folder: SearchFolder) -> list[Record]:
    if not folder.plan_file.is_file() or not (folder.path / "study.db").is_file():
        return []
    return [record for record in records_of(folder) if record.ended]


FLAGS = [
    *["digits", "-m", "two_layer", "--size", "8", "--policy", "none", "--precision", "fp32", "--name", "mine"],
    *["--lr", "1e-3:1e-1:log", "--stages", "4x30", "--pruner", "none", "-j", "0"],
]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_search_that_is_stopped_or_killed_goes_on_where_it_was(
    tmp_path: Path, search_process: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = search_process(*FLAGS)
    folder = SearchFolder(tmp_path / "searches" / "mine")
    wait_until(lambda: len(ended(folder)) >= 1)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        time.sleep(2)  # its worker notices within a step
    else:
        assert process.returncode == 128 + number
        assert "interrupted; go on with: striate search --resume searches/mine" in said
        assert not [record for record in records_of(folder) if record.outcome == "running"]
    before = {record.number: record.value for record in ended(folder)}
    assert 1 <= len(before) < 4
    process = search_process("--resume", "searches/mine", "--json")
    out, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    trials = json.loads(out)["trials"]
    assert len(trials) == 4
    assert {trial["outcome"] for trial in trials} == {"finished"}
    assert {number: trials[number]["val_accuracy"] for number in before} == before


@pytest.mark.slow
def test_another_machine_joins_by_storage_and_name(tmp_path: Path) -> None:
    """Two folders, one storage: each holds its own trials, and the queue is one."""
    address = f"sqlite:///{tmp_path}/all.db"
    plan = conclude_plan("digits", FIXED, SPACE, stages="3x1")
    here = folder_of(plan, tmp_path / "here", address, "shared")
    ledger = Ledger(open_storage(address), "shared")
    open_next(ledger, here.plan(), 0)
    there = folder_of(plan, tmp_path / "there", address, "shared")
    go_on(there, 1, Nothing())
    found = go_on(here, 1, Nothing())
    assert len(found.ranked) == 3
    assert len(list(there.trials.iterdir())) == 3
    other = conclude_plan("digits", FIXED, {"lr": "1e-3:1:log"}, stages="3x1")
    with pytest.raises(StriateError, match="search shared was begun with another space or other settings"):
        folder_of(other, tmp_path / "third", address, "shared")
    with pytest.raises(StriateError, match="--storage needs --name"):
        folder_of(plan, tmp_path / "fourth", address)


def test_a_search_whose_trials_all_fail_stops_and_says_why(tmp_path: Path) -> None:
    plan = conclude_plan("digits", FIXED, {"model_settings.hiden": "1:9"}, stages="20x1")
    with pytest.raises(StriateError, match="hiden"):
        folder_of(plan, tmp_path)


def test_a_search_killed_as_it_begins_takes_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left was no search to go on with, and its name was taken all the same."""
    plan = conclude_plan("digits", FIXED, SPACE, stages="3x1")

    def killed(path: Path, data: bytes) -> None:
        assert path.name == "search.toml"
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("striate.search.folder.write_bytes", killed)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # a killed process clears nothing away
        with pytest.raises(SystemExit):
            SearchFolder.create(plan, tmp_path, "mine", "x", None)
    assert not (tmp_path / "mine").exists()
    assert SearchFolder.create(plan, tmp_path, "mine", "x", None).plan() == plan


def test_a_worker_whose_search_was_killed_while_it_started_takes_no_trial(tmp_path: Path) -> None:
    """Its parent is another by the time that it looks: it has to be told who began it."""
    plan = conclude_plan("digits", FIXED, SPACE, stages="3x1")
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    open_next(Ledger(open_storage(folder.storage), "mine"), plan, 0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "striate.search.worker", str(folder.path), "1", str(gone.pid)]
    assert subprocess.run(command, timeout=300).returncode == 1
    assert {record.outcome for record in records_of(folder)} == {"waiting"}


@pytest.mark.parametrize("jobs", [1, 4])
def test_workers_may_die_three_times_each_without_a_trial_coming_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    plan = conclude_plan("digits", FIXED, SPACE, stages="3x1")
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    begun: list[object] = []

    class Dead:
        returncode = -9

        def __init__(self, *args: object, **options: object) -> None:
            begun.append(self)

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setattr("striate.search.conduct.subprocess.Popen", Dead)
    team = Team(folder, jobs, 1)
    for _ in range(1 + DEATHS):
        team.keep_up(0)
    assert len(begun) == (1 + DEATHS) * jobs
    with pytest.raises(StriateError, match=r"workers die one after another: signal 9; it said nothing \(.*\.log\)"):
        team.keep_up(0)


def test_models_of_trials_that_are_over_are_dropped_whatever_ended_them(tmp_path: Path) -> None:
    plan = conclude_plan("digits", FIXED, SPACE, stages="6x4", keep=1)
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    ledger = Ledger(open_storage(folder.storage), "mine")
    open_next(ledger, plan, 0)
    for outcome, value in [("finished", 0.5), ("finished", 0.9), ("pruned", 0.3), ("exploded", None), ("failed", None)]:
        taken = ledger.take(0, "me", partial(sampler_for, plan, 0), pruner_for(plan, plan.stages[0]))
        assert taken is not None
        model = folder.trials / taken.key / "best.safetensors"
        model.parent.mkdir()
        model.touch()
        ledger.finish(taken, outcome, value)
    (folder.trials / "stage1-0006").mkdir()
    (folder.trials / "stage1-0006" / "best.safetensors").touch()  # of a trial that waits to be gone on with
    settle(folder, ledger, plan)
    kept = sorted(path.parent.name for path in folder.trials.glob("*/best.safetensors"))
    assert kept == ["stage1-0002", "stage1-0006"]


def test_tpe_draws_other_values_for_every_trial_whoever_takes_it(tmp_path: Path) -> None:
    """A search that is begun anew, or joined, does not try again what it tried first."""
    plan = conclude_plan("digits", FIXED, SPACE, stages="5x1", sampler="tpe")
    folder = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    drawn = []
    for _ in range(5):
        ledger = Ledger(open_storage(folder.storage), "mine")
        open_next(ledger, plan, 0)
        taken = ledger.take(0, "me", partial(sampler_for, plan, 0), pruner_for(plan, plan.stages[0]))
        assert taken is not None
        drawn.append(taken.values["lr"])
    assert len(set(drawn)) == 5


def test_a_taken_name_and_a_folder_that_is_no_search(tmp_path: Path) -> None:
    plan = conclude_plan("digits", FIXED, SPACE, stages="3x1")
    SearchFolder.create(plan, tmp_path, "mine", "x", None)
    with pytest.raises(StriateError, match=r"search .*mine exists; choose another --name, or go on with it: --resume"):
        SearchFolder.create(plan, tmp_path, "mine", "x", None)
    with pytest.raises(StriateError, match=r"unknown search in .*'mein'; did you mean 'mine'\?"):
        SearchFolder.open(tmp_path / "mein")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StriateError, match=r"is not a search: it has no search\.toml"):
        SearchFolder.open(tmp_path / "empty")
    assert SearchFolder.open(tmp_path / "mine").plan() == plan
