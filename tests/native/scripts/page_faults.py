"""Once memory is kept, a large array allocated again costs (nearly) no page fault."""

import resource

import numpy as np

from striate import _native

PAGES = 16_384  # of 4 KiB: 64 MiB


def faults_of_one_more() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(PAGES * 4096, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def main() -> None:
    assert _native.keep_memory()
    faults_of_one_more()
    again = max(faults_of_one_more() for _ in range(5))
    assert again < 20, (
        f"{again} page faults"
    )  # without keep_memory: one per page, or per 512 where the system has huge ones


if __name__ == "__main__":
    main()
