"""One process at work: what is no trial's fault is no trial's failure."""

import errno
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from striate.errors import StriateError
from striate.search import worker
from striate.search.begin import conclude_plan, go_on
from striate.search.conduct import Team, open_next
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Record
from striate.search.machine import MACHINE_EXIT
from striate.search.ranking import all_records, thin_out
from striate.search.samplers import pruner_for, sampler_for
from striate.search.storage import open_storage
from striate.search.trial import Result
from striate.search.view import Nothing
from striate.train import RunFolder


def full_disk(*args: Any, **options: Any) -> Result:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise StriateError("cannot write best.safetensors: the disk is full") from error


def full_database(*args: Any, **options: Any) -> Result:
    try:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))
    except OperationalError as error:
        raise StorageInternalError("An exception is raised during the commit.") from error


def no_such_net(*args: Any, **options: Any) -> Result:
    raise StriateError("no such net")


def out_of_memory(*args: Any, **options: Any) -> Result:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    plan = conclude_plan("digits", {}, {"lr": "0.1:1"}, stages="2x1")
    made = SearchFolder.create(plan, tmp_path, "mine", "x", None)
    open_next(Ledger(open_storage(made.storage), "mine"), plan, 0)
    return made


def run_first(folder: SearchFolder) -> Record:
    """Take the first trial, try to run it; what the queue knows of it then."""
    plan, ledger = folder.plan(), Ledger(open_storage(folder.storage), "mine")
    taken = ledger.take(0, "me", partial(sampler_for, plan, 0), pruner_for(plan, plan.stages[0]))
    assert taken is not None
    materials: Any = None
    try:
        worker._run(folder, ledger, plan, taken, materials)
    finally:
        record = ledger.records(0)[0]
    return record


@pytest.mark.parametrize("fault", [full_disk, full_database])
def test_a_full_disk_fails_no_trial(folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, fault: Any) -> None:
    monkeypatch.setattr(worker, "run_trial", fault)
    with pytest.raises((StriateError, StorageInternalError)):
        run_first(folder)
    assert Ledger(open_storage(folder.storage), "mine").records(0)[0].outcome == "waiting"


@pytest.mark.parametrize(("fault", "cause"), [(no_such_net, "no such net"), (out_of_memory, "out of memory; smaller")])
def test_what_is_the_trials_own_fails_it_with_its_cause(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, fault: Any, cause: str
) -> None:
    monkeypatch.setattr(worker, "run_trial", fault)
    record = run_first(folder)
    assert record.outcome == "failed"
    assert record.cause.startswith(cause)


def test_a_worker_says_what_ails_the_machine_and_the_search_repeats_it(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(*args: Any) -> int:
        full_disk()
        return 0

    monkeypatch.setattr(worker, "work", work)
    monkeypatch.setattr("striate.search.worker.signal.signal", lambda number, action: None)
    monkeypatch.setattr("striate.search.worker.sys.argv", ["worker", str(folder.path), "1", "1"])
    assert worker.main() == MACHINE_EXIT
    said = capfd.readouterr().err
    assert said == "No space left on device\n"
    with Path("/dev/full").open("w", buffering=1) as words:  # what it says lies on that disk too
        monkeypatch.setattr(worker.sys, "stderr", words)
        assert worker.main() == MACHINE_EXIT

    class Ended:
        returncode = MACHINE_EXIT

        def __init__(self, *args: object, **options: object) -> None:
            (folder.workers / "0.log").write_text(said)

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setattr("striate.search.conduct.subprocess.Popen", Ended)
    team = Team(folder, 1, 1)
    team.keep_up(0)
    with pytest.raises(StriateError, match=r"^No space left on device; mend that, then go on with: striate search --r"):
        team.keep_up(0)


def test_a_storage_that_fails_the_search_itself_is_one_line(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("striate.search.begin.conduct", full_database)
    with pytest.raises(StriateError, match=r"^the search's storage: .*disk is full; mend that, then go on"):
        go_on(folder, 1, Nothing())


def test_a_checkpoint_stays_until_its_trial_has_ended(folder: SearchFolder) -> None:
    """It was removed before the end was told: a kill in between began the whole trial anew."""
    ledger, plan = Ledger(open_storage(folder.storage), folder.name), folder.plan()
    taken = ledger.take(0, "me", partial(sampler_for, plan, 0), pruner_for(plan, plan.stages[0]))
    assert taken is not None
    checkpoints = RunFolder(folder.trials / taken.key).checkpoints
    checkpoints.mkdir(parents=True)
    thin_out(folder, plan, all_records(ledger, plan))
    assert checkpoints.is_dir()
    ledger.finish(taken, "finished", 0.5)
    thin_out(folder, plan, all_records(ledger, plan))
    assert not checkpoints.exists()
