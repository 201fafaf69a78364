"""Fork while other threads convert; every child converts with threads of its own, and the parent goes on."""

import os
import sys
import threading
from pathlib import Path

import numpy as np

from striate import _native

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 128, 128, 3), dtype=np.uint8)
CHILDREN = 10


def converted(threads: int) -> bytes:
    out = np.empty((60, 3, 128, 128), np.float32)
    windows, fill = np.zeros((60, 3), np.int32), np.zeros(3, np.uint8)
    scale, shift = np.full(3, 0.1, np.float32), np.ones(3, np.float32)
    _native.batch_from_array(IMAGES, np.arange(60), windows, fill, scale, shift, out, threads)
    return out.tobytes()


def child(wanted: bytes) -> int:
    """0 if all is well; a child has one thread when it begins."""
    if converted(3) != wanted:
        return 1
    return 0 if sys.platform != "linux" or len(list(Path("/proc/self/task").iterdir())) == 3 else 2


def main() -> None:
    wanted = converted(1)
    stop = threading.Event()
    differing = []

    def convert_until_stopped() -> None:
        while not stop.is_set():
            if converted(3) != wanted:
                differing.append(1)

    thread = threading.Thread(target=convert_until_stopped)
    thread.start()
    codes = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            os._exit(child(wanted))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    thread.join()
    print("children", codes, "parent", "differs" if differing or converted(3) != wanted else "the same")


if __name__ == "__main__":
    main()
