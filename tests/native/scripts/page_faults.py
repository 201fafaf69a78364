"""Once memory is kept, a large array allocated again costs (nearly) no page fault; once it is returned, it does."""

import resource
from pathlib import Path

import numpy as np

from striate import _native

PAGES = 16_384  # of 4 KiB: 64 MiB


def faults_of_one_more() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(PAGES * 4096, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_nbytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    assert _native.keep_memory()
    faults_of_one_more()
    again = max(faults_of_one_more() for _ in range(5))
    assert again < 20, (
        f"{again} page faults"
    )  # without keep_memory: one per page, or per 512 where the system has huge ones
    held = resident_nbytes()
    assert _native.return_memory()
    returned = held - resident_nbytes()
    assert returned > 0.9 * PAGES * 4096, f"{returned:,} bytes returned"
    assert faults_of_one_more() >= PAGES // 512


if __name__ == "__main__":
    main()
