"""What the training loop costs: striate's loop against the barest hand-written PyTorch loop.

    python benchmarks/loop.py --mnist FOLDER --cifar FOLDER_OR_ZIP [--case lenet5] [--threads 1 2] [--pairs 60]
                              [--output results.json]

Same net, same first weights, same batches in the same order, no noise and no validation on either side. The bare loop
indexes float tensors that were normalised beforehand; striate's is a real run (loader, log, checkpoints, progress,
checks for a sick loss, signals) and reads bytes.

A shared machine changes its speed by the minute, so both loops live in one process and take turns: a few steps of one,
a few of the other. A block of striate's is compared with the mean of the bare blocks before and after it, by wall
clock and by processor time of all threads, and the verdict is the median of these ratios with the interval that holds
the true median 19 times in 20, whatever the distribution. The first two blocks of either are not counted. The turns
are taken inside the reporter, which striate's loop calls after every step: nothing of the loop escapes the clock, a
checkpoint at an epoch's end included, which the "all blocks" column shows and a median does not.

What is of the process and not of the loop is the same for both: the number of threads, and the heap that keeps its
memory (`_native.keep_memory`), which a bare loop by itself would not have.

The losses of the first steps are compared as well: both must have trained the same net on the same images.

Without data, random images of the same shapes stand in. The floor is the net's own forward, backward and update; the
target is to add nothing (a ratio of 0.97 or more), and to be ahead with `--precision auto`, which may choose bf16 and
channels-last.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "lenet5 on MNIST": {"model": "lenet5", "size": 28, "channels": 1, "data": "mnist", "images": 60_000, "block": 20},
    "resnet20 on CIFAR-10": {
        "model": "resnet20",
        "size": 32,
        "channels": 3,
        "data": "cifar",
        "images": 10_240,
        "block": 2,
    },
}
BATCH = 128
KINDS: dict[str, dict[str, Any]] = {  # what is fixed as the bare loop has it, and what is left to be measured
    "fp32": {"precision": "fp32", "channels_last": False},
    "auto": {"precision": "auto", "channels_last": None},
}
COMPARED_STEPS = 20  # rounding grows with the steps; so many differ by less than AGREEMENT in fp32
AGREEMENT = 1e-3


def main() -> None:
    """Measure every case, number of threads and kind in a process of its own; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default=None)
    parser.add_argument("--cifar", default=None)
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    parser.add_argument("--kind", choices=KINDS, default=None)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--output", type=Path, default=None, help="JSON; what it holds of other measurements stays")
    parser.add_argument("--one", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(_measure(**json.loads(arguments.one))))
        return
    for case, settings in CASES.items():
        if arguments.case not in case:
            continue
        folder = arguments.mnist if settings["data"] == "mnist" else arguments.cifar
        for kind in KINDS if arguments.kind is None else [arguments.kind]:
            for threads in arguments.threads:
                one = {"case": case, "kind": kind, "threads": threads, "pairs": arguments.pairs, "folder": folder}
                command = [sys.executable, __file__, "--one", json.dumps(one)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                result = json.loads(done.stdout.splitlines()[-1])
                name = f"{case}, {kind}, {threads} thread{'s' if threads > 1 else ''}"
                _show(name, result)
                if arguments.output is not None:
                    _keep(arguments.output, name, result)


def _show(name: str, result: dict[str, Any]) -> None:
    print(f"{name}: {len(result['wall']['striate'])} blocks of {result['block']} steps; {result['note']}")
    print(f"  losses of the first {COMPARED_STEPS} steps differ by {result['loss_difference']:.1e} at most")
    for clock in ("wall", "processor"):
        ratios, bare = _ratios(result[clock]), result[clock]["bare"]
        low, high = _interval_of_the_median(ratios)
        first, middle, third = statistics.quantiles(ratios, n=4)
        whole = statistics.fmean(bare) / statistics.fmean(result[clock]["striate"])
        step = statistics.median(bare) / result["block"]
        rate = f", {BATCH / step:,.0f} images/s" if clock == "wall" else ""
        print(
            f"  {clock:9}  ratio {middle:.3f} (95 %: {low:.3f}–{high:.3f}; quartiles {first:.3f}–{third:.3f}; "
            f"all blocks {whole:.3f}); a bare step takes {1000 * step:.2f} ms{rate}"
        )


def _ratios(seconds: dict[str, list[float]]) -> list[float]:
    """Bare over striate: above 1, striate is faster. Block k of striate's lies between the bare blocks k and k + 1."""
    bare = seconds["bare"]
    return [(before + after) / 2 / s for before, after, s in zip(bare[:-1], bare[1:], seconds["striate"], strict=True)]


def _interval_of_the_median(values: list[float]) -> tuple[float, float]:
    """95 % interval from order statistics: the rank of the median is binomial(n, 1/2), here by its normal limit."""
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    return ordered[max(0, math.floor(n / 2 - reach))], ordered[min(n - 1, math.ceil(n / 2 + reach))]


def _keep(path: Path, name: str, result: dict[str, Any]) -> None:
    kept = json.loads(path.read_text()) if path.is_file() else {"cases": {}}
    cpuinfo = Path("/proc/cpuinfo")
    models = [x.split(":")[1].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
    here = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True).stdout
    kept["machine"] = {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.strip(),
    }
    rounded = {c: {k: [round(s, 5) for s in v] for k, v in result[c].items()} for c in ("wall", "processor")}
    kept["cases"][name] = {**result, **rounded}
    path.write_text(json.dumps(kept, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")


def _measure(case: str, kind: str, threads: int, pairs: int, folder: str | None) -> dict[str, Any]:
    """Seconds of each block by both clocks, in this process."""
    import torch

    from striate.data import ArraySamples, Dataset
    from striate.train import run as run_module
    from striate.train import settings_from
    from striate.train.log import read_log
    from striate.train.progress import Silent

    torch.set_num_threads(threads)
    settings = dict(CASES[case])
    data, count, block = settings.pop("data"), settings.pop("images"), settings.pop("block")
    samples = ArraySamples(*_images(folder, data, settings, count))
    classes = tuple("0123456789")
    dataset = Dataset(name="bench", spec="bench", classes=classes, train=samples, val=None, test=None, mirror=False)
    notes: list[str] = []
    turns = _Turns(_bare(samples, settings), block)

    class Taking(Silent):
        """Lets the loops take turns."""

        def note(self, line: str) -> None:
            if line.startswith("fastest"):
                notes.append(line)

        def begin(self, epochs: int, steps: int, done: int) -> None:
            turns.bare_block()
            turns.striate_begins()

        def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
            if step % block == 0:
                turns.striate_ends()
                turns.bare_block()
                turns.striate_begins()

    run_module._open = lambda *_: dataset  # type: ignore[assignment]  # the images are in memory already
    run_module._final_score = _no_score  # the end of the run is not what is measured
    run_module._conclude = lambda *_: None
    with tempfile.TemporaryDirectory() as output:
        chosen = {
            **settings,
            **KINDS[kind],
            "threads": threads,
            "batch_size": BATCH,
            "pad": 0,
            "flip": False,
            "max_steps": pairs * block,
            "epochs": 1000,
            "lr": 0.01,
            "schedule": "constant",
            "nesterov": False,
            "ema": 0.0,  # the bare loop averages nothing, and smooths nothing
            "label_smoothing": 0.0,
            "output": output,
        }
        ended = run_module.start(settings_from(chosen), Taking())
        logged = {r["step"]: r["loss"] for r in read_log(ended.folder.path) if r["event"] == "step"}
    losses = {step: turns.losses[step - 1].item() for step in logged if step <= COMPARED_STEPS}
    difference = max(abs(logged[step] - loss) / loss for step, loss in losses.items())
    if kind == "fp32" and difference > AGREEMENT:
        raise SystemExit(f"{case}: the two loops do not train the same net: losses {losses} against {logged}")
    note = "; ".join(notes) or "as the bare loop"
    return {"block": block, "note": note, "loss_difference": difference, **turns.seconds()}


class _Turns:
    """The clocks of two loops that take turns."""

    def __init__(self, bare: Iterator[Any], block: int) -> None:
        self._bare, self._block = bare, block
        self._blocks: dict[str, list[tuple[float, float]]] = {"bare": [], "striate": []}
        self._began = (0.0, 0.0)
        self.losses: list[Any] = []  # of the bare loop's first steps

    def bare_block(self) -> None:
        self._began = _clocks()
        for _ in range(self._block):
            loss = next(self._bare)
            if len(self.losses) < COMPARED_STEPS:
                self.losses.append(loss)
        self._ended("bare")

    def striate_begins(self) -> None:
        self._began = _clocks()

    def striate_ends(self) -> None:
        self._ended("striate")

    def _ended(self, kind: str) -> None:
        wall, processor = _clocks()
        self._blocks[kind].append((wall - self._began[0], processor - self._began[1]))

    def seconds(self) -> dict[str, dict[str, list[float]]]:
        """By clock and loop, without the first two blocks: allocation, oneDNN's choice of kernels."""
        return {
            clock: {kind: [block[i] for block in blocks[2:]] for kind, blocks in self._blocks.items()}
            for i, clock in enumerate(("wall", "processor"))
        }


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _images(folder: str | None, data: str, settings: dict[str, Any], count: int) -> tuple[Any, Any]:
    """uint8 [N, H, W, C] and int64 [N]."""
    import numpy as np

    if folder is None:
        rng = np.random.default_rng(0)
        shape = (count, settings["size"], settings["size"], settings["channels"])
        return rng.integers(0, 256, shape, np.uint8), rng.integers(0, 10, count)
    from striate.data import open as open_data

    spec, data_dir = ("mnist", folder) if data == "mnist" else (folder, None)
    samples = open_data(spec, data_dir=data_dir, val_fraction=0.0, check=False).train
    spread = np.arange(count) * len(samples) // count  # a folder is sorted by class
    return np.stack([samples.pixels(int(index), settings["channels"]) for index in spread]), samples.labels[spread]


def _bare(samples: Any, settings: dict[str, Any]) -> Iterator[Any]:
    """What one writes by hand, and no more; yields each step's loss."""
    import torch
    import torch.nn.functional as F

    from striate.data import Loader, Preprocess
    from striate.data.order import epoch_order
    from striate.nets import create_model
    from striate.train.state import seed_all

    size = (settings["size"], settings["size"])
    batches = list(Loader(samples, Preprocess.fit(samples, settings["channels"], size), batch_size=1024).epoch(0))
    x, y = torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches])
    del batches
    seed_all(0)
    net = create_model(settings["model"], num_classes=10, in_chans=settings["channels"], input_size=size)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    epoch = 0
    while True:
        order = torch.from_numpy(epoch_order(len(x), seed=0, epoch=epoch))
        for start in range(0, len(x) - BATCH + 1, BATCH):
            index = order[start : start + BATCH]
            loss = F.cross_entropy(net(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss
        epoch += 1


def _no_score(*_: Any) -> tuple[None, None]:
    return None, None


if __name__ == "__main__":
    main()
