"""What was measured on this machine, kept on disk: a choice is made once per shape, not once per process.

One JSON file per processor, instruction set, number of threads and version of striate and torch, in
`STRIATE_CONV_CACHE`, else `striate/conv` in the user's cache folder (XDG Base Directory Specification); the empty
string keeps nothing. A file that cannot be read counts as empty, and one that cannot be written is done without: a
cache may cost time, never a result.
"""

import contextlib
import hashlib
import json
import math
import os
import threading
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from striate import _native
from striate.atomic import write_bytes
from striate.cache import cache_folder
from striate.conv.measure import Measurement
from striate.errors import StriateError

__all__ = ["load", "store"]

_VERSION = 9  # of the file's form and of the kernels: raise it when the kernels' speeds have changed
_lock = threading.Lock()


def _note_the_fork() -> None:
    global _lock
    _lock = threading.Lock()  # a thread of the parent may have held it, and has no counterpart here to let it go


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_the_fork)


def load(key: str, threads: int) -> dict[str, Measurement]:
    """What is known of `key`, by candidate."""
    with _lock:
        return dict(_known(threads).get(key, {}))


def store(key: str, threads: int, measured: dict[str, Measurement]) -> None:
    """Remember, here and on disk. What other processes wrote meanwhile is kept."""
    with _lock:
        known = _known(threads)
        known.setdefault(key, {}).update(measured)
        path = _path(threads)
        if path is None:
            return
        for other, entries in _read(path).items():
            known.setdefault(other, {}).update({n: m for n, m in entries.items() if n not in known.get(other, {})})
        text = json.dumps({k: {n: asdict(m) for n, m in entries.items()} for k, entries in known.items()}, indent=0)
        with contextlib.suppress(OSError, StriateError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, text.encode())


@cache
def _known(threads: int) -> dict[str, dict[str, Measurement]]:
    path = _path(threads)
    return {} if path is None else _read(path)


def _read(path: Path) -> dict[str, dict[str, Measurement]]:
    try:
        entries: dict[str, dict[str, Any]] = json.loads(path.read_text())
        return {key: {n: _measurement(m) for n, m in by_name.items()} for key, by_name in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _measurement(entry: dict[str, Any]) -> Measurement:
    """Raises TypeError or ValueError for what is none."""
    read = Measurement(**entry)
    if any(not math.isfinite(number) or number < 0 for number in entry.values()):
        raise ValueError("no measurement has such numbers")
    return read


def _path(threads: int) -> Path | None:
    if os.environ.get("STRIATE_CONV_CACHE") == "":
        return None
    try:
        path = cache_folder("conv", "STRIATE_CONV_CACHE")
    except StriateError:  # a user without a home
        return None
    machine = json.dumps([_VERSION, _processor(), _native.isa(), threads, torch.__version__])
    return path / f"{hashlib.sha256(machine.encode()).hexdigest()[:16]}.json"


@cache
def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "CPU part")):
                return line.partition(":")[2].strip() + " " + " ".join(_native.cpu_features())
    return " ".join(_native.cpu_features())
