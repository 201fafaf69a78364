"""One process at a time, where there are locks; and where there are none, no refusal."""

import errno
import fcntl
from pathlib import Path

import pytest

from striate.lock import is_at, lock


def test_the_second_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as first:
        assert lock(first, wait=False)
        with path.open("r") as second:
            assert not lock(second, wait=False)
    with path.open("r") as third:
        assert lock(third, wait=True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("wait", [True, False])
def test_a_file_system_without_locks_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, wait: bool
) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "file").open("w") as file:
        assert lock(file, wait=wait)


def test_a_file_that_another_process_has_renamed_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when it goes between being seen and being looked at."""
    path = tmp_path / "file.part"
    with path.open("a+b") as file:
        assert is_at(file, path)
        path.unlink()
        monkeypatch.setattr(type(path), "exists", lambda self: True)
        assert not is_at(file, path)
