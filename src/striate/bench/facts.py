"""What a figure needs beside it: the machine, what it could do at best, and what was installed on it that day."""

import dataclasses
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import striate
from striate import _native
from striate.bench.peers import Peer
from striate.bench.timing import interleave
from striate.doctor import examine

__all__ = ["Machine", "copy_bandwidth", "machine", "peak_flops"]

COPIED_NBYTES = 2**28  # 256 MiB and as much again: beyond any cache of a desktop, and what a server's core sees of its
ROUNDS = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and with what a table was measured. Rates are the best seen, for they are limits."""

    cpu: str
    cores: int
    isa: str
    threads: int
    peak_flops: float  # float32 operations a second of a loop of multiply-adds on `threads` threads
    memory_kept: bool  # freed memory stays in the process, for all libraries alike
    load_average: float
    system: str
    python: str
    commit: str
    date: str
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return (
            f"{self.cpu}, {self.isa}, {threads}; multiply-add peak {self.peak_flops / 1e9:,.0f} GFLOP/s; "
            f"{self.date}, {self.commit}"
        )


def machine(threads: int, peers: Sequence[Peer] = ()) -> Machine:
    """The facts now. Also makes the process keep the memory it frees, before anything is measured.

    glibc returns freed blocks of many MiB to the system at once, and the next result of that size costs a page fault
    for every 4 KiB: up to half of a convolution's time, for libraries that allocate their results.
    """
    kept = _native.keep_memory()
    facts = examine()
    return Machine(
        cpu=facts.cpu,
        cores=facts.cores,
        isa=facts.isa or "none",
        threads=threads,
        peak_flops=peak_flops(threads),
        memory_kept=kept,
        load_average=round(os.getloadavg()[0], 1),
        system=facts.system,
        python=platform.python_version(),
        commit=_commit(),
        date=time.strftime("%Y-%m-%d"),
        versions={"striate": striate.__version__, "numpy": np.__version__, "torch": torch.__version__}
        | {peer.package: peer.version for peer in peers},
    )


def peak_flops(threads: int, seconds: float = 0.2) -> float:
    """Operations a second of multiply-adds in registers, the best of some tries."""
    return max(float(_native.peak_flops(threads, seconds)) for _ in range(3))


def copy_bandwidth(threads: int) -> float:
    """Bytes a second of copying memory, read and written ones both counted, the best of some tries."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        source = torch.ones(COPIED_NBYTES // 4)
        target = torch.zeros_like(source)
        samples = interleave({"copy": lambda: target.copy_(source)}, ROUNDS)["copy"]
    finally:
        torch.set_num_threads(before)
    return 2 * COPIED_NBYTES / min(samples)


def _commit() -> str:
    """Of the checkout that striate runs from; where it was installed otherwise, its version."""
    folder = Path(striate.__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return f"striate {striate.__version__}"
    return done.stdout.strip() or f"striate {striate.__version__}"
