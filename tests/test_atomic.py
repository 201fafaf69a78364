"""A file is wholly there or not at all."""

import errno
import itertools
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from striate import atomic
from striate.errors import StriateError


def test_a_file_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    atomic.write_bytes(path, b"one")
    atomic.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_it_is_an_ordinary_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    atomic.write_bytes(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_an_error_in_between_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    atomic.write_bytes(path, b"old")
    with pytest.raises(KeyError), atomic.replace_file(path) as file:  # noqa: PT012  # the write belongs to the case
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full; free some space and run the command again"),
        (errno.EDQUOT, "the disk is full; free some space and run the command again"),
        (errno.EACCES, "not allowed to write there; choose another folder"),
        (errno.EROFS, "not allowed to write there"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_went_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StriateError, match=rf"^cannot write .*file\.bin: {message}"):
        atomic.write_bytes(tmp_path / "file.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match=r"cannot write .*absent/file\.bin: there is no such folder; make it first"):
        atomic.write_bytes(tmp_path / "absent" / "file.bin", b"")


def test_what_could_not_be_written_is_told_beforehand(tmp_path: Path) -> None:
    atomic.check_writable(tmp_path / "file.bin")
    with pytest.raises(StriateError, match=r"cannot write .*absent/file\.bin: there is no such folder; make it first"):
        atomic.check_writable(tmp_path / "absent" / "file.bin")
    with pytest.raises(StriateError, match="it is a folder; give the name of a file"):
        atomic.check_writable(tmp_path)


def test_a_folder_has_all_it_holds_from_the_moment_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a" / "b"

    def fill(folder: Path, name: str) -> None:
        assert not (place / name).exists()
        (folder / "it").write_text(name)

    assert atomic.new_folder(place, ["one"], fill) == place / "one"
    assert atomic.new_folder(place, ["one"], fill) is None
    assert atomic.new_folder(place, ["one", "two", "three"], fill) == place / "two"
    assert (place / "two" / "it").read_text() == "two"

    def refuse(*_: Any) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match=os.strerror(errno.EDQUOT)):
        atomic.new_folder(place, itertools.cycle(["free"]), fill)  # not the next name, for ever
    assert sorted(entry.name for entry in place.iterdir()) == ["one", "two"]


def test_every_folder_that_is_made_is_flushed_into_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(atomic, "sync_folder", flushed.append)
    atomic.make_folder(tmp_path / "a" / "b")
    assert flushed == [tmp_path, tmp_path / "a"]
    atomic.make_folder(tmp_path / "a" / "b")
    assert flushed == [tmp_path, tmp_path / "a"]


def test_a_folder_that_cannot_be_flushed_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(atomic, "sync_folder", fail)
    with pytest.raises(StriateError, match=r"^cannot write .*file\.bin: Input/output error$"):
        atomic.write_bytes(tmp_path / "file.bin", b"new")


def test_a_folder_that_may_not_be_read_can_be_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter box: the file was there, and an error all the same."""

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", refuse)
    atomic.sync_folder(tmp_path)


def test_what_a_new_folder_cannot_hold_names_no_temporary_file(tmp_path: Path) -> None:
    def fill(folder: Path, name: str) -> None:
        atomic.write_bytes(folder / "absent" / "it", b"")

    with pytest.raises(FileNotFoundError):
        atomic.new_folder(tmp_path, ["one"], fill)
    assert list(tmp_path.iterdir()) == []
