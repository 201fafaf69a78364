"""The storage: where it is made, and who makes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.storages import BaseStorage, JournalStorage

from striate.errors import StriateError
from striate.search.begin import conclude_plan, known_plan
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger
from striate.search.space import space_from
from striate.search.storage import Journal, absolute, open_storage


def test_many_come_to_a_new_database_at_once(tmp_path: Path) -> None:
    for turn in range(3):
        url, gate = f"sqlite:///{tmp_path}/new{turn}.db", threading.Barrier(8)

        def come(_: int, url: str = url, gate: threading.Barrier = gate) -> BaseStorage:
            gate.wait()
            return open_storage(url)

        with ThreadPoolExecutor(8) as many:
            found = list(many.map(come, range(8)))
        assert all(storage.get_all_studies() == [] for storage in found)


@pytest.mark.parametrize("name", ["why?not", "a#b", "50%20 off", "ж & ü"])
def test_the_database_lies_in_the_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    plan = conclude_plan("digits", {}, {"lr": "0.1:1"})
    folder = SearchFolder.create(plan, tmp_path, name, "digits", None)
    Ledger(open_storage(folder.storage), folder.name).open_stage(0, space_from({"lr": "0.1:1"}), [{"lr": 0.5}], (), "")
    assert (folder.path / "study.db").stat().st_size > 0
    assert [one.name for one in tmp_path.iterdir()] == [name]
    (record,) = Ledger(open_storage(SearchFolder.open(folder.path).storage), folder.name).records(0)
    assert record.values == {"lr": 0.5}


@pytest.mark.parametrize("text", ["{}\n", "[1]\n", "not\njson\n", "\xa1\xff\n", '{"op_code": 99}\n'])
def test_what_is_no_journal_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.journal"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        StriateError, match=r"--storage journal:.*some\.journal is no journal of a search; name another"
    ):
        open_storage(f"journal:{path}")


def test_a_storage_is_asked_for_before_anything_is_measured() -> None:
    assert known_plan(None, "mine") is None
    with pytest.raises(StriateError, match="--storage needs --name"):
        known_plan("sqlite:///all.db", None)
    with pytest.raises(StriateError, match="unable to open database"):
        known_plan("sqlite:////proc/nowhere/study.db", "mine")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused_since_no_other_process_sees_it(url: str) -> None:
    with pytest.raises(StriateError, match=f"--storage {url}: a database in memory cannot be shared; name a file"):
        open_storage(url)


@pytest.mark.parametrize("url", ["sqlite:///my trials.db", "journal:sub/a.journal"])
def test_a_search_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    plan = conclude_plan("digits", {}, {"lr": "0.1:1"})
    folder = SearchFolder.create(plan, tmp_path / "searches", "mine", "digits", url)
    Ledger(open_storage(folder.storage), "mine").open_stage(0, space_from({"lr": "0.1:1"}), [{"lr": 0.5}], (), "")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (record,) = Ledger(open_storage(SearchFolder.open(folder.path).storage), "mine").records(0)
    assert record.values == {"lr": 0.5}


def test_an_absolute_address_keeps_its_password_and_sqlites_own_addresses_stay() -> None:
    assert absolute("mysql://ada:secret@host/trials") == "mysql://ada:secret@host/trials"
    assert absolute("sqlite:///file:a.db?uri=true") == "sqlite:///file:a.db?uri=true"


def test_a_line_of_the_journal_that_was_never_finished_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    space = space_from({"lr": "0.1:1"})
    Ledger(open_storage(f"journal:{path}"), "mine").open_stage(0, space, [{"lr": 0.5}], (), "")
    whole = path.read_bytes()
    for torn in (whole[:30], whole[:1], b'{"long": "' + b"x" * 10_000):  # a full disk, a power cut
        path.write_bytes(whole + torn)
        ledger = Ledger(open_storage(f"journal:{path}"), "other")
        ledger.open_stage(0, space, [{"lr": 0.25}], (), "")
        assert path.read_bytes().startswith(whole + b"{")
        storage = open_storage(f"journal:{path}")
        assert [one.values for one in Ledger(storage, "mine").records(0)] == [{"lr": 0.5}]
        assert [one.values for one in Ledger(storage, "other").records(0)] == [{"lr": 0.25}]
        path.write_bytes(whole)


def test_a_journals_lock_whose_owner_was_killed_is_taken_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder a relative link would lead nowhere, and the wait for it would have no end."""
    monkeypatch.chdir(tmp_path)
    storage = open_storage("journal:sub/a.journal")
    assert isinstance(storage, JournalStorage)
    assert isinstance(storage._backend, Journal)
    guard = storage._backend._guard
    guard.acquire()  # by one who is killed now
    assert (tmp_path / "sub" / "a.journal.lock").stat().st_size == 0  # it leads to the journal, which is empty
    guard.grace_period = 0
    Ledger(storage, "mine").open_stage(0, space_from({"lr": "0.1:1"}), [{"lr": 0.5}], (), "")
    assert (tmp_path / "sub" / "a.journal").stat().st_size > 0
