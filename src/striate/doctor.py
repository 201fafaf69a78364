"""What this machine has, what striate will do with it, and what stands in its way.

`examine` reads the facts; `plan` and `warnings` are functions of the facts alone, so that any machine can be tested on
this one. Sizes are in bytes.
"""

import dataclasses
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from striate.errors import StriateError
from striate.pages.wording import plural

__all__ = ["Facts", "Gpu", "examine", "plan", "warnings"]

VARIABLES = ("STRIATE_ISA", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES")
BF16_FEATURES = ("amx_bf16", "avx512_bf16", "bf16")  # Linux' names; the last one is Arm's
GLIBC_NEEDED = (2, 28)  # torch's wheels are tagged manylinux_2_28
LITTLE_MEMORY = 2 * 2**30  # torch and its kernels alone take half a GiB
LITTLE_DISK = 2**30  # a VGG's checkpoint with its momentum is 1.1 GB
GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpu:
    """One accelerator that torch can use."""

    name: str
    nbytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found; `None` where this system does not say."""

    cpu: str
    architecture: str
    cores: int  # logical ones that this process may run on
    quota: float | None  # cores' worth of time that a container grants
    features: tuple[str, ...]  # of the CPU, in Linux' names
    isa: str | None  # the kernels chosen by striate's native module; None: it cannot be loaded
    memory_nbytes: int | None
    free_memory_nbytes: int | None
    torch: str
    threads: int  # that torch computes with
    onednn: bool
    gpus: tuple[Gpu, ...]
    folder: str
    writable: bool
    free_disk_nbytes: int
    system: str
    glibc: tuple[int, ...] | None
    python: str
    packages: dict[str, str]
    environment: dict[str, str]

    @property
    def bf16(self) -> str | None:
        """The CPU feature that multiplies bf16 natively, when there is one."""
        return next((name for name in BF16_FEATURES if name in self.features), None)


def examine(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Facts:
    """The facts about this machine, and about `folder` (where it stands now), in which runs would be written."""
    try:
        import torch
    except ImportError as error:
        raise StriateError(f"torch cannot be loaded: {error}; install it with `make`") from error
    folder = Path.cwd() if folder is None else folder
    environment = os.environ if environment is None else environment
    features, isa = _native()
    return Facts(
        cpu=_cpu_info("model name") or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        quota=_cpu_quota(_read("/sys/fs/cgroup/cpu.max")),
        features=tuple((_cpu_info("flags") or _cpu_info("Features") or "").split()) or features,
        isa=isa,
        memory_nbytes=_memory("MemTotal"),
        free_memory_nbytes=_memory("MemAvailable"),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        onednn=torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]  # torch does not annotate it
        gpus=tuple(
            Gpu(name=torch.cuda.get_device_name(i), nbytes=torch.cuda.get_device_properties(i).total_memory)
            for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
        ),
        folder=str(folder),
        writable=os.access(folder, os.W_OK),
        free_disk_nbytes=shutil.disk_usage(folder).free,
        system=platform.platform(),
        glibc=_version(platform.libc_ver()[1]) if platform.libc_ver()[0] == "glibc" else None,
        python=f"{platform.python_version()} ({sys.executable})",
        packages=_packages(),
        environment={name: environment[name] for name in VARIABLES if name in environment},
    )


def plan(facts: Facts) -> tuple[str, ...]:
    """What striate will do on such a machine, in plain sentences."""
    many = facts.threads != 1
    threads = plural(facts.threads, "thread")
    if facts.gpus:
        where = f"Nets train on the GPU, {facts.gpus[0].name}; --device cpu keeps them on the CPU ({threads})."
    else:
        where = f"Nets train on the CPU with {threads}{', or one where a run measures that as faster' * many}."
        where += " --threads sets it."
    if facts.gpus:
        bf16 = "the GPU decides which wins"
    elif facts.bf16:
        bf16 = f"this CPU multiplies bf16 itself ({facts.bf16}), so bf16 may win"
    else:
        bf16 = "this CPU has no instructions for bf16, so fp32 is likely to win"
    sentences = [where, f"Before its first step a run times fp32 against bf16 and takes the faster: {bf16}."]
    if facts.isa:
        sentences.append(f"Images become batches by the {facts.isa} kernels, in the threads that -j sets.")
    if facts.writable:
        free = facts.free_disk_nbytes / GIB
        sentences.append(f"Runs are written to {Path(facts.folder) / 'runs'}, with {free:.1f} GiB free.")
    return tuple(sentences)


def warnings(facts: Facts) -> tuple[str, ...]:
    """What costs speed or will fail, each with what to do about it."""
    found = []
    if facts.isa is None:
        found.append("striate's native module cannot be loaded, so no data can be read: run `make dev` to build it")
    elif forced := facts.environment.get("STRIATE_ISA"):
        found.append(f"STRIATE_ISA={forced} forces the kernels: unset it to let the CPU decide")
    if facts.architecture in ("x86_64", "AMD64") and facts.features and "avx2" not in facts.features:
        found.append("this CPU, or the virtual machine's view of it, has no AVX2: expect a fraction of the usual speed")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if name in facts.environment:
            found.append(f"{name}={facts.environment[name]} sets torch's threads: unset it, or use --threads")
    if "ONEDNN_MAX_CPU_ISA" in facts.environment:
        found.append(f"ONEDNN_MAX_CPU_ISA={facts.environment['ONEDNN_MAX_CPU_ISA']} holds torch's convolutions back")
    granted = facts.cores if facts.quota is None else min(facts.cores, facts.quota)
    if facts.threads > max(1, granted):
        found.append(
            f"torch would compute with {facts.threads} threads where {granted:g} cores are granted: "
            f"use --threads {max(1, int(granted))}"
        )
    if not facts.onednn:
        found.append("this torch was built without oneDNN: convolutions on the CPU are slow; install an official wheel")
    if facts.glibc is not None and facts.glibc < GLIBC_NEEDED:
        have, need = (".".join(map(str, version)) for version in (facts.glibc, GLIBC_NEEDED))
        found.append(f"glibc {have} is older than the {need} that torch's wheels need: use a newer system or container")
    if facts.free_memory_nbytes is not None and facts.free_memory_nbytes < LITTLE_MEMORY:
        free = facts.free_memory_nbytes / GIB
        found.append(f"only {free:.1f} GiB of memory are free: keep --batch-size and --size small")
    if not facts.writable:
        found.append(f"{facts.folder} may not be written: use --output DIR for runs")
    elif facts.free_disk_nbytes < LITTLE_DISK:
        free = facts.free_disk_nbytes / GIB
        found.append(f"only {free:.1f} GiB are free in {facts.folder}: free some, or use --output DIR for runs")
    return tuple(found)


def _native() -> tuple[tuple[str, ...], str | None]:
    """CPU features and chosen kernels as the native module sees them; nothing when it cannot be loaded."""
    try:
        native = importlib.import_module("striate._native")
    except ImportError:
        return (), None
    return tuple(native.cpu_features()), str(native.isa())


def _cpu_info(key: str) -> str | None:
    found = re.search(rf"^{key}\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1).strip() if found else None


def _memory(key: str) -> int | None:
    """A row of /proc/meminfo, cut to what a container (cgroup v2) allows."""
    found = re.search(rf"^{key}:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    if not found:
        return None
    nbytes = int(found.group(1)) * 1024
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        nbytes = min(nbytes, int(limit) - (int(used) if key == "MemAvailable" else 0))
    return nbytes


def _cpu_quota(text: str) -> float | None:
    """Cores' worth of time in cgroup v2's cpu.max, "quota period" in microseconds or "max period".

    >>> _cpu_quota("150000 100000")
    1.5
    >>> _cpu_quota("max 100000") is None
    True
    """
    quota, _, period = text.strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _packages() -> dict[str, str]:
    """Versions of what striate depends on; "missing" for what is not installed."""
    try:
        needs = importlib.metadata.requires("striate") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    versions = {}
    for need in needs:
        if "extra ==" in need:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
