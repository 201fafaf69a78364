"""What the watch costs: the same run with it and without, taking turns.

    python benchmarks/watch.py [--mnist FOLDER] [--cifar FOLDER_OR_ZIP] [--case lenet5] [--blocks 40] [--threads 1]

Two real runs of `striate.train`, in two threads of one process of which only one ever moves: after every block of steps
a run hands the turn to the other, inside the reporter, so that a block holds everything that its steps cost. A watched
block is compared with the mean of the plain blocks before and after it, by wall clock and by the processor time of the
process; the first two blocks of either (allocation, oneDNN's choices, the cold first look) are not counted. Printed:
the share of time that watching added, as the ratio of the sums (looks are rare and dear, so a median would not see
them) with a 95 % interval by bootstrap over blocks, how many looks there were, and the share the watch measured itself.

Without data, random images of the same shapes stand in. The target is under 2 %.
"""

import argparse
import tempfile
import threading
import time
from typing import Any

import numpy as np
import torch

from striate.data import ArraySamples, Dataset
from striate.data import open as open_data
from striate.train import loop as loop_module
from striate.train import run as run_module
from striate.train import settings_from
from striate.train.progress import Silent

CASES: dict[str, dict[str, Any]] = {
    "lenet5 on MNIST": {"model": "lenet5", "size": 28, "channels": 1, "batch_size": 128, "block": 40},
    "resnet20 on CIFAR-10": {"model": "resnet20", "size": 32, "channels": 3, "batch_size": 64, "block": 4},
}


def main() -> None:
    """Measure every case and print a line for each clock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default=None)
    parser.add_argument("--cifar", default=None)
    parser.add_argument("--case", default="")
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for name, case in CASES.items():
        if arguments.case in name:
            folder = arguments.mnist if "MNIST" in name else arguments.cifar
            _show(name, _measure(dict(case), folder, arguments.blocks, arguments.threads))


class _Turns:
    """Two runs, of which one moves; the seconds of each one's blocks, by wall and processor."""

    def __init__(self) -> None:
        self.may_go = {"plain": threading.Event(), "watched": threading.Event()}
        self.blocks: dict[str, list[tuple[float, float]]] = {"plain": [], "watched": []}
        self.may_go["plain"].set()

    def hand_over(self, kind: str, began: tuple[float, float]) -> tuple[float, float]:
        """End a block of `kind`, let the other go, wait for the turn; returns when the next block begins."""
        now = time.perf_counter(), time.process_time()
        self.blocks[kind].append((now[0] - began[0], now[1] - began[1]))
        other = "watched" if kind == "plain" else "plain"
        self.may_go[kind].clear()
        self.may_go[other].set()
        self.may_go[kind].wait()
        return time.perf_counter(), time.process_time()


def _measure(case: dict[str, Any], folder: str | None, blocks: int, threads: int) -> dict[str, Any]:
    block = case.pop("block")
    samples = _images(folder, case)
    classes = tuple("0123456789")
    data = Dataset(name="bench", spec="bench", classes=classes, train=samples, val=None, test=None, mirror=False)
    torch.set_num_threads(threads)
    turns, trainers = _Turns(), {}
    run_module._open = lambda *_: data  # type: ignore[assignment]  # the images are in memory already
    run_module._final_score = lambda *_: (None, None)  # type: ignore[assignment]  # the end is not what is measured
    run_module._conclude = lambda *_: None  # type: ignore[assignment]
    run_module._told = lambda *_: None  # type: ignore[assignment]
    loop_module.StopRequest = _NoStop  # type: ignore[misc,assignment]  # signals belong to the main thread

    class Keeping(loop_module.Trainer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            trainers["watched" if arguments["settings"].watch else "plain"] = self

    run_module.Trainer = Keeping  # type: ignore[misc]

    class Taking(Silent):
        """Hands the turn over after every block."""

        def __init__(self, kind: str) -> None:
            self._kind, self._began = kind, (0.0, 0.0)

        def begin(self, epochs: int, steps: int, done: int) -> None:
            turns.may_go[self._kind].wait()
            self._began = time.perf_counter(), time.process_time()

        def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
            if step % block == 0:
                self._began = turns.hand_over(self._kind, self._began)

        def end(self) -> None:
            for event in turns.may_go.values():
                event.set()

    with tempfile.TemporaryDirectory() as output:

        def train(kind: str) -> None:
            settings = settings_from(
                case
                | {"precision": "fp32", "channels_last": False, "threads": threads, "pad": 0, "flip": False}
                | {"max_steps": blocks * block, "epochs": 1000, "lr": 0.01, "schedule": "constant", "name": kind}
                | {"watch": kind == "watched", "output": output, "workers": 1, "checkpoint_minutes": 1e6}
            )
            run_module.start(settings, Taking(kind))

        runs = [threading.Thread(target=train, args=(kind,)) for kind in turns.blocks]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    watch = trainers["watched"].watch
    trained = trainers["watched"].position.total_seconds
    return {
        "blocks": turns.blocks,
        "block": block,
        "looks": len(watch.series.looks),
        "own": watch.spent_seconds / trained,
    }


class _NoStop:
    """Never asked to stop."""

    signal = None

    def __enter__(self) -> "_NoStop":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __bool__(self) -> bool:
        return False


def _images(folder: str | None, case: dict[str, Any], count: int = 4096) -> ArraySamples:
    if folder is None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (count, case["size"], case["size"], case["channels"]), np.uint8)
        return ArraySamples(pixels, rng.integers(0, 10, count))
    spec, data_dir = ("mnist", folder) if case["channels"] == 1 else (folder, None)
    samples = open_data(spec, data_dir=data_dir, val_fraction=0.0, check=False).train
    spread = np.arange(count) * len(samples) // count  # a folder is sorted by class
    return ArraySamples(np.stack([samples.pixels(int(i), case["channels"]) for i in spread]), samples.labels[spread])


def _show(name: str, result: dict[str, Any]) -> None:
    plain, watched = (np.array(result["blocks"][kind][2:]) for kind in ("plain", "watched"))
    count = min(len(watched), len(plain) - 1)
    print(
        f"{name}: {count} blocks of {result['block']} steps, {result['looks']} looks; own account {result['own']:.2%}"
    )
    beside = (plain[:count] + plain[1 : count + 1]) / 2
    rng = np.random.default_rng(0)
    for clock, i in (("wall", 0), ("processor", 1)):
        w, p = watched[:count, i], beside[:, i]
        drawn = rng.integers(0, count, (10_000, count))
        low, high = np.quantile(w[drawn].sum(1) / p[drawn].sum(1) - 1, [0.025, 0.975])
        middle = np.median(w / p) - 1
        print(
            f"  {clock:9}  watching adds {w.sum() / p.sum() - 1:+.2%} (95 %: {low:+.2%} to {high:+.2%}; "
            f"median block {middle:+.2%}); a plain step takes {1000 * p.mean() / result['block']:.2f} ms"
        )


if __name__ == "__main__":
    main()
