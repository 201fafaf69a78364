"""What the training loop costs: striate's loop against the barest hand-written PyTorch loop.

Same net, same initial weights, same batch size, same images in memory, no noise and no validation on either side. The
bare loop indexes float tensors that were normalised beforehand; striate's reads bytes. Each measurement is a fresh
process, the kinds alternate, and the ratio is the median over rounds of neighbours' ratios, because a shared machine
changes its speed by the minute:

    python benchmarks/loop.py --mnist FOLDER --cifar FOLDER_OR_ZIP [--rounds 5] [--output results.json]

Without data, random images of the same shapes stand in.

The floor: the net's own forward, backward and update; the target is to add nothing (a ratio of 0.97 or more), and to be
ahead with `--precision auto`, which may choose bf16 and channels-last.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = {
    "lenet5 on MNIST": {"model": "lenet5", "size": 28, "channels": 1, "batch_size": 128, "steps": 400, "data": "mnist"},
    "resnet20 on CIFAR-10": {
        "model": "resnet20",
        "size": 32,
        "channels": 3,
        "batch_size": 128,
        "steps": 40,
        "data": "cifar",
    },
}
WARM_UP = 5  # steps that are not timed: allocation, oneDNN's choice of kernels
KINDS = ("bare", "striate", "striate auto")


def main() -> None:
    """Alternate the kinds of loop over fresh processes and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default=None)
    parser.add_argument("--cifar", default=None)
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--one", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(_measure(**json.loads(arguments.one))))
        return
    results: dict[str, Any] = {}
    for case, settings in CASES.items():
        if arguments.case not in case:
            continue
        rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
        folder = arguments.mnist if settings["data"] == "mnist" else arguments.cifar
        for _ in range(arguments.rounds):
            for kind in KINDS:
                one = json.dumps({"kind": kind, "case": case, "folder": folder})
                command = [sys.executable, __file__, "--one", one]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rates[kind].append(json.loads(done.stdout.splitlines()[-1]))
        medians = {kind: statistics.median(values) for kind, values in rates.items()}
        ratios = {
            kind: statistics.median(ours / bare for ours, bare in zip(values, rates["bare"], strict=True))
            for kind, values in rates.items()
        }
        results[case] = {"images_per_second": rates, "median": medians, "ratio": ratios}
        print(f"{case}, images/s, median of {arguments.rounds} (min–max), median ratio to the bare loop of its round")
        for kind, values in rates.items():
            print(f"  {kind:13} {medians[kind]:9,.0f}  ({min(values):,.0f}–{max(values):,.0f})  {ratios[kind]:.3f}")
    if arguments.output is not None:
        machine = {"processor": platform.processor(), "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
        arguments.output.write_text(json.dumps({"machine": machine, "cases": results}, indent=1) + "\n")


def _measure(kind: str, case: str, folder: str | None) -> float:
    """Images per second of one kind of loop, in this process."""
    settings = dict(CASES[case])
    steps, data = settings.pop("steps"), settings.pop("data")
    images, labels = _images(folder, data, settings, steps)
    if kind == "bare":
        return _bare(images, labels, settings, steps)
    return _striate(images, labels, settings, steps, auto=kind == "striate auto")


def _images(folder: str | None, data: str, settings: dict[str, Any], steps: int) -> tuple[Any, Any]:
    """uint8 [N, H, W, C] and int64 [N], enough for the steps of one epoch."""
    import numpy as np

    count = (steps + WARM_UP) * settings["batch_size"]
    if folder is None:
        rng = np.random.default_rng(0)
        shape = (count, settings["size"], settings["size"], settings["channels"])
        return rng.integers(0, 256, shape, np.uint8), rng.integers(0, 10, count)
    from striate.data import open as open_data

    spec, data_dir = ("mnist", folder) if data == "mnist" else (folder, None)
    samples = open_data(spec, data_dir=data_dir, val_fraction=0.0, check=False).train
    count = min(count, len(samples))
    images = np.stack([samples.pixels(index, settings["channels"]) for index in range(count)])
    return images, np.asarray(samples.labels[:count])


def _net(settings: dict[str, Any]) -> Any:
    import torch

    from striate.nets import create_model

    torch.manual_seed(0)
    size = (settings["size"], settings["size"])
    return create_model(settings["model"], num_classes=10, in_chans=settings["channels"], input_size=size)


def _bare(images: Any, labels: Any, settings: dict[str, Any], steps: int) -> float:
    """What one writes by hand, and no more."""
    import torch
    import torch.nn.functional as F

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255).sub_(0.5).div_(0.25)
    x = torch.empty(pixels.shape).copy_(pixels)  # `contiguous()` would leave one channel channels-last, 10 % faster
    y = torch.from_numpy(labels)
    net = _net(settings)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    batch = settings["batch_size"]
    order = torch.randperm(len(x))
    started = 0.0
    for step in range(steps):
        if step == WARM_UP:
            started = time.perf_counter()
        index = order[step * batch : (step + 1) * batch]
        loss = F.cross_entropy(net(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (steps - WARM_UP) * batch / (time.perf_counter() - started)


def _striate(images: Any, labels: Any, settings: dict[str, Any], steps: int, *, auto: bool) -> float:
    """The real loop: loader, log, progress, checks for a sick loss, signals."""
    import torch

    from striate.data import ArraySamples, Dataset
    from striate.train import reporter_for, settings_from
    from striate.train import run as run_module

    samples = ArraySamples(images, labels)
    classes = tuple("0123456789")
    dataset = Dataset(name="bench", spec="bench", classes=classes, train=samples, val=None, test=None, mirror=False)
    run_module._open = lambda *_: dataset  # type: ignore[assignment]  # the images are in memory already
    stamps: list[float] = []
    update = run_module.Trainer._update

    def stamped(self: Any, batches: Any) -> float:
        stamps.append(time.perf_counter())
        return update(self, batches)

    run_module.Trainer._update = stamped  # type: ignore[method-assign]  # to time the same steps as the bare loop
    run_module._final_score = _no_score  # type: ignore[assignment]  # the end of the run is not what is measured
    run_module._conclude = lambda *_: None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        chosen = {
            **settings,
            "pad": 0,
            "flip": False,
            "max_steps": steps,
            "epochs": 1,
            "lr": 0.01,
            "nesterov": False,
            "ema": 0.0,  # the bare loop averages nothing, and smooths nothing
            "label_smoothing": 0.0,
            "output": folder,
            "precision": "auto" if auto else "fp32",
            # What the bare loop does is fixed here; `auto` leaves it to be measured.
            **({} if auto else {"channels_last": False, "threads": torch.get_num_threads()}),
        }
        run_module.start(settings_from(chosen), reporter_for(quiet=True))
    ended = stamps[-1]  # the last step's beginning: steps - 1 - WARM_UP whole steps lie between
    return (len(stamps) - 1 - WARM_UP) * settings["batch_size"] / (ended - stamps[WARM_UP])


def _no_score(*_: Any) -> tuple[None, None]:
    return None, None


if __name__ == "__main__":
    main()
