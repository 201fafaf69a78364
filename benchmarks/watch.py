"""What the watch costs: the steps at which it looks, beside their neighbours at which it does not.

    python benchmarks/watch.py [--mnist FOLDER] [--cifar FOLDER_OR_ZIP] [--case lenet5] [--steps 3000] [--threads 1]

One real run of `striate.train`. Between looks the watch does nothing (two numbers are compared at each step), so what
it costs is what a look adds to its own step and, by the caches that it empties, to the ones behind it. A look's excess
is the time of its step and the two behind it, less three times the mean of the six steps on either side of them;
neighbours a second apart see the same mood of a shared machine, which two runs beside each other do not: two equal
ones differed by 7 % here, by where their memory lay. Printed: the sum of the excesses over the time of the run, by wall
clock and by the processor time of the process, with a 95 % interval by bootstrap over looks; and the share that it
measured itself.

Without data, random images of the same shapes stand in. The target is under 2 %.
"""

import argparse
import tempfile
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from striate.data import ArraySamples, Dataset
from striate.data import open as open_data
from striate.train import run as run_module
from striate.train import settings_from
from striate.train.progress import Silent

CASES: dict[str, dict[str, Any]] = {
    "lenet5 on MNIST": {"model": "lenet5", "size": 28, "channels": 1, "batch_size": 128, "steps": 6000},
    "resnet20 on CIFAR-10": {"model": "resnet20", "size": 32, "channels": 3, "batch_size": 64, "steps": 600},
}
STRUCK, BESIDE = (
    3,
    6,
)  # steps that a look may slow down, itself the first; steps on either side that they are held against


def main() -> None:
    """Measure every case and print a line for each clock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default=None)
    parser.add_argument("--cifar", default=None)
    parser.add_argument("--case", default="")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for name, case in CASES.items():
        if arguments.case in name:
            folder = arguments.mnist if "MNIST" in name else arguments.cifar
            steps = arguments.steps or case["steps"]
            _measure(name, {k: v for k, v in case.items() if k != "steps"}, folder, steps, arguments.threads)


class _Clock(Silent):
    """When each step ended, by wall clock and by the processor time of the process."""

    def __init__(self) -> None:
        self.moments: list[tuple[float, float]] = []

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        self.moments.append((time.perf_counter(), time.process_time()))


def _measure(name: str, case: dict[str, Any], folder: str | None, steps: int, threads: int) -> None:
    samples = _images(folder, case)
    classes = tuple("0123456789")
    data = Dataset(name="bench", spec="bench", classes=classes, train=samples, val=None, test=None, mirror=False)
    trainers, clock = [], _Clock()

    class Keeping(run_module.Trainer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            trainers.append(self)

    plain, run_module.Trainer = run_module.Trainer, Keeping  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory() as output:
            settings = settings_from(
                case
                | {"precision": "fp32", "channels_last": False, "threads": threads, "pad": 0, "flip": False}
                | {"max_steps": steps, "epochs": 100_000, "lr": 0.01, "schedule": "constant"}
                | {"output": output, "workers": 1, "checkpoint_minutes": 1e6, "data": "bench"}
            )
            run_module.start(settings, clock, data=data)
    finally:
        run_module.Trainer = plain  # type: ignore[misc]
    (trainer,) = trainers
    looks = [look.step for look in trainer.watch.series.looks]
    own = trainer.watch.spent_seconds / trainer.position.total_seconds
    took = np.diff(np.array(clock.moments), axis=0)  # of step i + 2 in row i: the first has no beginning
    print(f"{name}: {steps} steps of {np.median(took[:, 0]) * 1000:.2f} ms, {len(looks)} looks; own account {own:.2%}")
    for i, clock_name in enumerate(("wall", "processor")):
        shares = _excesses(took[:, i], looks) / took[:, i].sum()
        drawn = np.random.default_rng(0).integers(0, len(shares), (10_000, len(shares)))
        low, high = np.quantile(shares[drawn].sum(1), [0.025, 0.975])
        print(f"  {clock_name:9}  watching adds {shares.sum():.2%} (95 %: {low:.2%} to {high:.2%})")


def _excesses(took: NDArray[np.float64], looks: list[int]) -> NDArray[np.float64]:
    """Seconds that each look added, of those with neighbours on both sides; the others are counted as their mean."""
    found = []
    for look in looks:
        at = look - 2
        before, after = took[max(0, at - BESIDE) : max(0, at)], took[at + STRUCK : at + STRUCK + BESIDE]
        if len(before) == len(after) == BESIDE:
            found.append(took[at : at + STRUCK].sum() - STRUCK * np.concatenate([before, after]).mean())
    return np.array(found) * len(looks) / len(found)


def _images(folder: str | None, case: dict[str, Any], count: int = 4096) -> ArraySamples:
    if folder is None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (count, case["size"], case["size"], case["channels"]), np.uint8)
        return ArraySamples(pixels, rng.integers(0, 10, count))
    spec, data_dir = ("mnist", folder) if case["channels"] == 1 else (folder, None)
    samples = open_data(spec, data_dir=data_dir, val_fraction=0.0, check=False).train
    spread = np.arange(count) * len(samples) // count  # a folder is sorted by class
    return ArraySamples(np.stack([samples.pixels(int(i), case["channels"]) for i in spread]), samples.labels[spread])


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
