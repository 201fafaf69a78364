"""The storage: where it is made, and who makes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from striate.errors import StriateError
from striate.search.begin import conclude_plan, known_plan
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger
from striate.search.space import space_from
from striate.search.storage import open_storage


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
