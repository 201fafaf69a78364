"""The storage: where it is made, and who makes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from optuna.storages import BaseStorage

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
