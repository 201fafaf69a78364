"""Whether a run's memory stays flat: resident size after each epoch of a real run, in a process of its own.

    python benchmarks/memory.py [DATA] [--data-dir DIR] [--model lenet5] [--epochs 20] [--output results.json]

The target: after 20 epochs within 2 % of after 2.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import psutil

from striate.train import settings_from, start
from striate.train.progress import Silent
from striate.train.report.record import EpochRow


class Resident(Silent):
    """Notes the process's resident bytes at the end of each epoch."""

    def __init__(self) -> None:
        self.nbytes: list[int] = []

    def epoch(self, row: EpochRow, best: bool) -> None:
        self.nbytes.append(psutil.Process().memory_info().rss)


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    resident = Resident()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"data": arguments.data, "model": arguments.model, "epochs": arguments.epochs, "output": folder}
        start(settings_from({**settings, "data_dir": arguments.data_dir}), resident)
    sizes = resident.nbytes
    growth = sizes[-1] / sizes[min(1, len(sizes) - 1)] - 1
    for epoch, size in enumerate(sizes, 1):
        print(f"epoch {epoch:3}  {size / 1e6:8.1f} MB")
    print(f"after {len(sizes)} epochs against after 2: {growth:+.2%}")
    if arguments.output is not None:
        result = {"data": arguments.data, "model": arguments.model, "nbytes": sizes, "growth": growth}
        arguments.output.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
