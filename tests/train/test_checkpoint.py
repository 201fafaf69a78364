"""A checkpoint is whole or it is refused, at whatever byte it was cut or changed."""

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from striate import atomic
from striate.errors import StriateError
from striate.train.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    DamagedCheckpoint,
    flatten_state,
    restore_state,
)


def make(step: int) -> Checkpoint:
    tensors = {"model.weight": torch.arange(6.0).reshape(2, 3) + step, "count": torch.tensor(step)}
    return Checkpoint(step=step, tensors=tensors, state={"epoch": step, "loss": 0.1 + 0.2, "best": float("inf")})


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    folder.save(make(1))
    folder.save(make(2))
    return folder


def same(a: Checkpoint, b: Checkpoint) -> bool:
    equal = all(torch.equal(a.tensors[name], b.tensors[name]) for name in b.tensors)
    return a.step == b.step and a.state == b.state and a.tensors.keys() == b.tensors.keys() and equal


def test_what_is_saved_is_loaded(folder: CheckpointFolder) -> None:
    newest, damaged = folder.newest()
    assert newest is not None
    assert same(newest, make(2))
    assert damaged == []


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_cut_at_any_length_it_is_refused_and_the_one_before_is_used(folder: CheckpointFolder, suffix: str) -> None:
    (file,) = folder.folder.glob(f"step-000000002*{suffix}")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        newest, damaged = folder.newest()
        assert newest is not None
        assert same(newest, make(1)), length
        assert len(damaged) == 1
        assert str(file.with_suffix("")) in str(damaged[0])


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_with_any_byte_flipped_it_is_refused(folder: CheckpointFolder, suffix: str) -> None:
    (file,) = folder.folder.glob(f"step-000000002*{suffix}")
    whole = file.read_bytes()
    for position in range(len(whole)):
        for bit in (1, 0x2A, 0x80):  # 0x2A turns a space into a line feed, which JSON reads alike
            changed = bytearray(whole)
            changed[position] ^= bit
            file.write_bytes(changed)
            with pytest.raises(DamagedCheckpoint, match="is damaged"):
                folder.load(2)


def test_a_checkpoint_of_another_step_under_this_name_is_refused(folder: CheckpointFolder) -> None:
    seal = folder.folder / "step-000000001.json"
    (folder.folder / "step-000000002.json").write_bytes(seal.read_bytes())
    with pytest.raises(DamagedCheckpoint, match=r"step-000000002\.json is damaged"):
        folder.load(2)


def test_without_its_seal_it_does_not_exist(folder: CheckpointFolder) -> None:
    (folder.folder / "step-000000002.json").unlink()
    assert folder.steps() == [1]


def test_missing_tensors_are_named(folder: CheckpointFolder) -> None:
    next(folder.folder.glob("step-000000002-*.safetensors")).unlink()
    with pytest.raises(DamagedCheckpoint, match=r"step-000000002-\w{12}\.safetensors cannot be read: No such file"):
        folder.load(2)


def test_the_newest_are_kept_and_the_best(folder: CheckpointFolder) -> None:
    for step in range(3, 8):
        folder.save(make(step), also_keep=4)
    assert folder.steps() == [4, 6, 7]
    assert len(list(folder.folder.iterdir())) == 6


def test_a_run_that_was_moved_is_not_made_anew_where_it_was(tmp_path: Path) -> None:
    """It went on in a folder without a config or a log, and its end was missing where the run was."""
    (tmp_path / "run").mkdir()
    folder = CheckpointFolder(tmp_path / "run" / "checkpoints", keep=2)
    folder.save(make(1))
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(StriateError, match=r"^cannot save in .*run/checkpoints: the run's folder is gone; if it was"):
        folder.save(make(2))
    assert not (tmp_path / "run").exists()
    assert CheckpointFolder(tmp_path / "moved" / "checkpoints", keep=2).steps() == [1]


def test_the_first_checkpoint_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's own name was in no flushed folder until the first best model was written beside it."""
    flushed = []
    sync = atomic.sync_folder
    monkeypatch.setattr(atomic, "sync_folder", lambda path: (flushed.append(path), sync(path)))
    CheckpointFolder(tmp_path / "checkpoints", keep=2).save(make(1))
    assert flushed == [tmp_path, tmp_path / "checkpoints", tmp_path / "checkpoints"]


def test_what_a_killed_process_left_is_cleared_away(folder: CheckpointFolder) -> None:
    (folder.folder / ".tmp-abc.safetensors").write_bytes(b"half")
    (folder.folder / "step-000000003.safetensors").write_bytes(b"unsealed")
    folder.save(make(4))
    assert sorted((path.name[:14], path.suffix) for path in folder.folder.iterdir()) == [
        ("step-000000002", ".json"),
        ("step-000000002", ".safetensors"),
        ("step-000000004", ".json"),
        ("step-000000004", ".safetensors"),
    ]


def test_a_seal_that_cannot_be_read_for_a_moment_costs_no_tensors(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk or a network that answered one read with an error had the tensors of that checkpoint removed."""

    def failing(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        folder.save(make(3))
    assert folder.steps() == [2, 3]
    assert same(folder.load(2), make(2))


def test_a_step_that_is_saved_again_is_never_without_a_whole_checkpoint(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, and at whichever file, the step has one: the old or the new."""
    other = dataclasses.replace(make(5), step=2)
    replace = os.replace
    for ending in (".safetensors", ".json"):

        def full(source: Any, target: Any, ending: str = ending) -> None:
            if str(target).endswith(ending):
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(StriateError, match="the disk is full"):
            folder.save(other)
        assert same(folder.load(2), make(2))
    monkeypatch.undo()
    folder.save(other)
    assert same(folder.load(2), other)
    assert len(list(folder.folder.glob("step-000000002*"))) == 2


def test_a_checkpoint_from_before_names_had_sums_is_read(folder: CheckpointFolder) -> None:
    (file,) = folder.folder.glob("step-000000002-*.safetensors")
    file.rename(folder.folder / "step-000000002.safetensors")
    assert same(folder.load(2), make(2))
    folder.save(make(3))
    assert same(folder.load(2), make(2))


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_ones_before_intact(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr(os, "fdopen", _full_file)
        else:
            patch.setattr(os, failing, full)
        with pytest.raises(
            StriateError, match=r"cannot write .*step-000000003-\w{12}\.safetensors: the disk is full; free"
        ):
            folder.save(make(3))
    assert folder.steps() == [1, 2]
    assert not [path for path in folder.folder.iterdir() if path.name.startswith(".tmp-")]
    newest, damaged = folder.newest()
    assert newest is not None
    assert same(newest, make(2))
    assert damaged == []


class _full_file:  # noqa: N801  # stands in for a function
    def __init__(self, descriptor: int, *_: Any) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "_full_file":
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        os.write(self._descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


STATES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(STATES)
@settings(max_examples=200, deadline=None)
def test_any_state_comes_back_through_json(state: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    flat = flatten_state("state", state, tensors)
    assert restore_state(json.loads(json.dumps(flat)), tensors) == state


def test_tensors_in_a_state_are_moved_out_of_it() -> None:
    tensors: dict[str, torch.Tensor] = {}
    state = {"state": {0: {"momentum": torch.ones(3)}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]}
    flat = flatten_state("optimizer", state, tensors)
    assert list(tensors) == ["optimizer.state.0.momentum"]
    restored = restore_state(json.loads(json.dumps(flat)), tensors)
    assert restored["state"][0]["momentum"] is tensors["optimizer.state.0.momentum"]
    assert restored["groups"] == [{"lr": 0.1, "betas": [0.9, 0.999]}]


def test_what_cannot_be_kept_is_named() -> None:
    with pytest.raises(TypeError, match=r"optimizer\.hook: cannot keep a function in a checkpoint"):
        flatten_state("optimizer", {"hook": lambda: None}, {})
