"""How much memory this process may still take: the system's figure, and its container's where there is one."""

import os
from pathlib import Path

__all__ = ["available_nbytes"]

UNKNOWN_NBYTES = 1 << 30  # what to assume where the system tells nothing


def available_nbytes() -> int:
    """Bytes that can be had without swapping: Linux' MemAvailable, or half of the memory where it is not told; never
    more than what the control group (v2, then v1) leaves."""
    return max(0, min(_system(), *_control_groups()))


def _system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024  # meminfo's kB are KiB
    except OSError:
        pass  # not Linux
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return UNKNOWN_NBYTES


def _control_groups() -> list[int]:
    """Limit less usage, of the group a container sees as its root; nothing where there is no limit."""
    left = [2**63]
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            left.append(int(Path(limit).read_text()) - int(Path(usage).read_text()))
        except (OSError, ValueError):  # no such group, or a limit of "max"
            continue
    return left
