"""Which process is at work on a trial, and whether it is surely gone.

A name that no other process has: host, boot, process namespace, number and start of the process. Another process of
the same machine can tell at once that it is gone; from elsewhere only a missing heartbeat tells.
"""

import os
import socket
from functools import cache
from pathlib import Path

__all__ = ["gone", "own_name"]


@cache
def _place() -> str:
    """This machine as far as process numbers go: two containers of one host number theirs independently."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux
        return f"{socket.gethostname()}/?"


def own_name() -> str:
    """The name of this process."""
    return f"{_place()}#{os.getpid()}#{_started(os.getpid())}"


def gone(name: str) -> bool:
    """Whether the process of that name has certainly ended; False where that cannot be known from here."""
    place, _, rest = name.partition("#")
    number, _, started = rest.partition("#")
    if place != _place() or place.endswith("?") or not number.isdigit():
        return False
    return _started(int(number)) != started


def _started(number: int) -> str:
    """The start of a process in clock ticks since boot; "" when there is none, or it waits to be buried (proc(5))."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
