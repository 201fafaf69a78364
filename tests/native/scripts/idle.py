"""A call with three threads starts two, which use no processor time once it is over."""

import sys
import time
from pathlib import Path

import numpy as np

from striate import _native


def tasks() -> int:
    return len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 0


def main() -> None:
    images = np.zeros((60, 128, 128, 3), np.uint8)
    out = np.empty((60, 3, 128, 128), np.float32)
    before = tasks()
    for _ in range(3):
        _native.batch_from_array(
            images,
            np.arange(60),
            np.zeros((60, 3), np.int32),
            np.zeros(3, np.uint8),
            np.ones(3, np.float32),
            np.zeros(3, np.float32),
            out,
            3,
        )
    if sys.platform == "linux":
        assert tasks() == before + 2, f"{before} threads became {tasks()}"
    used = time.process_time()
    time.sleep(0.5)
    used = time.process_time() - used
    assert used < 0.1, f"{used:.2f} s of processor time in half a second of sleep"


if __name__ == "__main__":
    main()
