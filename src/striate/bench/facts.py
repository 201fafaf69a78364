"""What a figure needs beside it: the machine, what it could do at best, and what was installed on it that day."""

import dataclasses
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
from striate.pages.wording import plural

__all__ = ["Machine", "copy_bandwidth", "machine", "others", "peak_flops"]

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
    others: float | None  # share of the cores that other programs took in the moment before
    system: str
    python: str
    commit: str
    date: str
    versions: dict[str, str]
    environment: dict[str, str]  # what was set that changes kernels or threads

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        threads = plural(self.threads, "thread")
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
        others=others(),
        system=facts.system,
        python=platform.python_version(),
        commit=_commit(),
        date=time.strftime("%Y-%m-%d"),
        versions={"striate": striate.__version__, "numpy": np.__version__, "torch": torch.__version__}
        | {peer.package: peer.version for peer in peers},
        environment=facts.environment,
    )


def others(seconds: float = 0.5) -> float | None:
    """The share of all cores that other programs use while this one sleeps; None where the system does not say."""
    before = _busy()
    time.sleep(seconds)
    after = _busy()
    if before is None or after is None or after[1] == before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]), 2)


def _busy() -> tuple[int, int] | None:
    """Ticks of all cores that were not idle, and all ticks (proc_stat(5): idle and iowait are the fourth and fifth)."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


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
