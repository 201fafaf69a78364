"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint is `step-N-SUM.safetensors` (every tensor; SUM begins their SHA-256) and `step-N.json` (the state, the
tensors' SHA-256, and its own). The JSON is the seal: written last and removed first, so that a checkpoint either is
whole or does not exist. A step that is saved again has other tensors under another name, and the seal passes from the
ones to the others at once. Reading one verifies both sums; the newest that verifies is used, and every one passed over
is named.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from striate.atomic import TEMPORARY_PREFIX, make_folder, why_not_written, write_bytes
from striate.errors import StriateError

__all__ = ["Checkpoint", "CheckpointFolder", "DamagedCheckpoint", "flatten_state", "restore_state"]

_SEAL = re.compile(r"step-(\d{9})\.json")


class DamagedCheckpoint(StriateError):
    """A checkpoint whose bytes are not those that were written."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The tensors by name, and the rest of the state as JSON values, after `step` updates."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = Path(folder)
        self._keep = keep

    def save(self, checkpoint: Checkpoint, *, also_keep: int | None = None) -> Path:
        """Write a checkpoint, seal it, then remove all but the newest `keep` and the one at step `also_keep`.

        Raises StriateError when the disk is full, the folder may not be written, or the one it lies in is gone; earlier
        checkpoints stay intact.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
        data = serialise_tensors(tensors)
        digest = hashlib.sha256(data).hexdigest()
        body = {"step": checkpoint.step, "tensors_sha256": digest, "state": checkpoint.state}
        sealed = {**body, "sha256": _digest(body)}
        if not self.folder.parent.is_dir():  # to make it anew would leave a checkpoint without its run
            raise StriateError(
                f"cannot save in {self.folder}: the run's folder is gone; if it was moved, go on there with --resume"
            )
        try:
            make_folder(self.folder)
        except OSError as error:
            raise StriateError(f"cannot write {self.folder}: {why_not_written(error)}") from error
        seal = self.folder / f"step-{checkpoint.step:09d}.json"
        write_bytes(self._tensors_file(checkpoint.step, digest), data)
        write_bytes(seal, _canonical(sealed))
        self._prune(also_keep)
        return seal

    def newest(self) -> tuple[Checkpoint | None, list[DamagedCheckpoint]]:
        """The newest checkpoint that verifies, and what was wrong with each newer one."""
        damaged: list[DamagedCheckpoint] = []
        for step in reversed(self.steps()):
            try:
                return self.load(step), damaged
            except DamagedCheckpoint as error:
                damaged.append(error)
        return None, damaged

    def load(self, step: int) -> Checkpoint:
        """The checkpoint after `step` updates; raises DamagedCheckpoint when one byte is not as it was written."""
        seal = self.folder / f"step-{step:09d}.json"
        text = _read(seal)
        try:
            sealed = json.loads(text)
            body = {name: sealed[name] for name in ("step", "tensors_sha256", "state")}
            intact = text == _canonical({**body, "sha256": _digest(body)}) and body["step"] == step
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedCheckpoint(f"checkpoint {seal} is damaged: it is not the JSON that was written") from error
        if not intact:
            raise DamagedCheckpoint(f"checkpoint {seal} is damaged: its SHA-256 does not match")
        tensors_file = self._tensors_file(step, body["tensors_sha256"])
        data = _read(tensors_file)
        if hashlib.sha256(data).hexdigest() != body["tensors_sha256"]:
            raise DamagedCheckpoint(f"checkpoint {tensors_file} is damaged: its SHA-256 does not match")
        return Checkpoint(step=step, tensors=parse_tensors(data), state=body["state"])

    def steps(self) -> list[int]:
        """The steps that have a sealed checkpoint, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(match[1]) for path in self.folder.iterdir() if (match := _SEAL.fullmatch(path.name)))

    def _prune(self, also_keep: int | None) -> None:
        wanted = {*self.steps()[-self._keep :], also_keep}
        for step in self.steps():
            if step not in wanted:
                with contextlib.suppress(OSError):  # one more that is kept is no reason to end a run
                    (self.folder / f"step-{step:09d}.json").unlink(missing_ok=True)  # the seal first
        self.clear()

    def clear(self) -> None:
        """Take away tensors without a seal and what a killed process was writing; only for the one who may write."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            orphan = path.suffix == ".safetensors" and not self._is_sealed(path)
            if orphan or path.name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _is_sealed(self, tensors_file: Path) -> bool:
        """Whether a seal may be of these tensors; one that cannot be read just now may be."""
        seal = self.folder / f"{tensors_file.name[: len('step-000000000')]}.json"
        match = _SEAL.fullmatch(seal.name)
        if match is None or not seal.exists():
            return False
        digest = _sum_in(seal)
        return not digest or tensors_file == self._tensors_file(int(match[1]), digest)

    def _tensors_file(self, step: int, digest: str) -> Path:
        """Where the tensors with this SHA-256 lie: under the step alone, if it was written before names had sums."""
        plain = self.folder / f"step-{step:09d}.safetensors"
        return plain if plain.exists() else self.folder / f"step-{step:09d}-{digest[:12]}.safetensors"


def flatten_state(prefix: str, state: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """A nested state as JSON values; each tensor moves into `tensors` and leaves `{"tensor": its name}` behind.

    Dictionaries with keys that are not texts (an optimiser's parameter numbers) are kept as lists of pairs.
    """
    if isinstance(state, torch.Tensor):
        tensors[prefix] = state
        return {"tensor": prefix}
    if isinstance(state, dict):
        return {
            "pairs": [[key, flatten_state(f"{prefix}.{key}", value, tensors)] for key, value in state.items()],
        }
    if isinstance(state, (list, tuple)):
        return [flatten_state(f"{prefix}.{index}", value, tensors) for index, value in enumerate(state)]
    if state is None or isinstance(state, (bool, int, float, str)):
        return state
    raise TypeError(f"{prefix}: cannot keep a {type(state).__name__} in a checkpoint")


def restore_state(state: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The reverse of `flatten_state` (tuples come back as lists)."""
    if isinstance(state, dict):
        if "tensor" in state:
            return tensors[state["tensor"]]
        return {key: restore_state(value, tensors) for key, value in state["pairs"]}
    if isinstance(state, list):
        return [restore_state(value, tensors) for value in state]
    return state


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"checkpoint {path} cannot be read: {error.strerror}") from error


def _sum_in(seal: Path) -> str:
    """The SHA-256 of the tensors that a seal is of; "" if it cannot be read."""
    try:
        return str(json.loads(seal.read_bytes())["tensors_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(value: dict[str, Any]) -> bytes:
    """One spelling for each value, so that a changed byte is always seen. NaN and Inf keep their names."""
    return json.dumps(value, sort_keys=True, indent=1).encode()
