"""Does the watch name what ails a run? Runs made sick on purpose, one illness each, and healthy ones beside them.

    python benchmarks/sick.py [--data SHARED_DATA] [--only WORD] [--output FOLDER] [--fast]

Every run is a real one, of a few seconds, through `striate.train`: only its settings, its data (labels shuffled,
images blank, a disk that dawdles) or its first weights are tampered with, as a mistake would. A sick run counts as
named when the diagnosis that the watch puts first is the right one; a healthy one when the watch says nothing at all,
neither at the end nor while it runs. Prints a row for each run and the two counts.

Without --data only the runs on scikit-learn's digits are made. The file is long because it is a list of cases.
"""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from striate.data import ArraySamples, Dataset
from striate.data import open as open_data
from striate.train import run as run_module
from striate.train import settings_from
from striate.train.health import Diverged
from striate.train.progress import Silent
from striate.train.watch import Diagnosis, LogTail, Series, diagnose

__all__ = ["HEALTHY", "SICK", "Case", "train_case"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One run. right: the diagnoses that name its illness, none for a healthy one; fast: also in the quick tests."""

    name: str
    right: tuple[str, ...] = ()
    settings: dict[str, Any]
    data: Callable[[Dataset], Dataset] = lambda data: data
    net: Callable[[nn.Module], None] = lambda net: None
    fast: bool = False


def few(train: int, val: int | None = None) -> Callable[[Dataset], Dataset]:
    """The first images of a set, which a split has put in no order."""

    def cut(data: Dataset) -> Dataset:
        parts = {"train": _some(data.train, train), "val": _some(data.val, val or train // 4)}
        return dataclasses.replace(data, test=_some(data.test, 200), **parts)

    return cut


def _some(samples: Any, count: int) -> Any:
    if samples is None or len(samples) <= count:
        return samples
    return samples.subset(np.random.default_rng(0).permutation(len(samples))[:count])


def shuffled(data: Dataset) -> Dataset:
    """Training labels in another order than their images."""
    order = np.random.default_rng(0).permutation(len(data.train))
    return dataclasses.replace(data, train=data.train.relabelled(data.train.labels[order]))


def blank(data: Dataset) -> Dataset:
    """Every image black, as where a decoder fails silently."""
    parts = {part: getattr(data, part) for part in ("train", "val", "test")}
    return dataclasses.replace(
        data, **{name: ArraySamples(np.zeros_like(part.images), part.labels) for name, part in parts.items() if part}
    )


def easy(data: Dataset) -> Dataset:
    """Validation on images of the training part, of which half carry wrong labels while they train."""
    rng = np.random.default_rng(0)
    labels = data.train.labels.copy()
    wrong = rng.random(len(labels)) < 0.5
    clean = data.train.subset(np.flatnonzero(~wrong)[:200])
    labels[wrong] = rng.integers(0, len(data.classes), int(wrong.sum()))
    return dataclasses.replace(data, train=data.train.relabelled(labels), val=clean)


def slow(seconds: float) -> Callable[[Dataset], Dataset]:
    """A disk that takes its time for each image."""

    class Slow:
        def __init__(self, samples: Any) -> None:
            self._samples = samples

        def __getattr__(self, name: str) -> Any:
            return getattr(self._samples, name)

        def __len__(self) -> int:
            return len(self._samples)

        def pixels(self, i: int, channels: int) -> Any:
            time.sleep(seconds)
            return self._samples.pixels(i, channels)

        held = False

        def subset(self, indices: Any) -> Any:
            return self._samples.subset(indices)

    return lambda data: dataclasses.replace(data, train=Slow(data.train))


@torch.no_grad()
def buried(share: float) -> Callable[[nn.Module], None]:
    """The given share of the second rectifier's units, so far below zero that they never fire."""

    def bury(net: nn.Module) -> None:
        layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        with torch.no_grad():
            layers[1].bias[: round(share * len(layers[1].bias))] = -50.0

    return bury


def scaled(factor: float, *, last: bool = True) -> Callable[[nn.Module], None]:
    """First weights so many times too large."""

    def scale(net: nn.Module) -> None:
        layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        with torch.no_grad():
            for layer in layers if last else layers[:-1]:
                layer.weight *= factor

    return scale


def sluggish(net: nn.Module) -> None:
    """Batch norms that hardly take a batch into account."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1e-4


def spoiled(net: nn.Module) -> None:
    """One weight that is no number."""
    with torch.no_grad():
        next(net.parameters()).view(-1)[0] = torch.nan


DIGITS: dict[str, Any] = {
    "data": "digits",
    "precision": "fp32",
    "channels_last": False,
    "threads": 1,
    "size": 16,
    "pad": 1,
}
MLP = DIGITS | {"model": "mlp", "model_settings": {"hidden": [64]}, "size": 8, "pad": 0}
FLAT = {"schedule": "constant", "label_smoothing": 0.0, "ema": 0.0}
MNIST = {"data": "mnist", "precision": "fp32", "channels_last": False, "threads": 1, "size": 28, "pad": 2}
CIFAR = {"data": "cifar", "precision": "fp32", "channels_last": False, "threads": 1}
SIGNS = {"data": "signs", "precision": "fp32", "channels_last": False, "threads": 1, "size": 32}
RESNET = {"model": "resnet20", "schedule": "onecycle", "lr": 0.1, "batch_size": 64, "ema": 0.0}

SICK = (
    Case(
        name="rate 40 times too high",
        right=("learning rate too high",),
        settings=DIGITS | {"lr": 2.0, "epochs": 4},
        fast=True,
    ),
    Case(
        name="rate too high, and nothing stops it",
        right=("learning rate too high",),
        settings=DIGITS | FLAT | {"lr": 0.6, "epochs": 8, "explosion": 0.0},
        fast=True,
    ),
    Case(
        name="Adam at a rate of 0.1",
        right=("learning rate too high",),
        settings=DIGITS | FLAT | {"optimizer": "adamw", "lr": 0.1, "epochs": 8, "explosion": 0.0},
    ),
    Case(
        name="rate 1,000 times too low",
        right=("learning rate too low",),
        settings=DIGITS | FLAT | {"lr": 5e-5, "epochs": 10},
        fast=True,
    ),
    Case(
        name="two hidden units",
        right=("underfitting",),
        settings=MLP | {"model_settings": {"hidden": [2]}, "epochs": 40},
        fast=True,
    ),
    Case(
        name="100 photographs, no noise",
        right=("overfitting",),
        settings=SIGNS | FLAT | {"model": "lenet5", "policy": "none", "lr": 0.02, "epochs": 40, "batch_size": 20},
        data=few(100, 200),
    ),
    Case(
        name="200 images of CIFAR-10, no noise",
        right=("overfitting",),
        settings=CIFAR | FLAT | {"model": "mlp", "policy": "none", "lr": 0.01, "epochs": 40, "batch_size": 20},
        data=few(200, 200),
    ),
    Case(
        name="two thirds of a layer buried",
        right=("dead units",),
        settings=DIGITS | {"epochs": 6},
        net=buried(0.67),
        fast=True,
    ),
    Case(
        name="twelve layers, first weights a third of He's",
        right=("vanishing gradients",),
        settings=MLP | FLAT | {"model_settings": {"hidden": [32] * 12}, "epochs": 8},
        net=scaled(0.33),
        fast=True,
    ),
    Case(
        name="twelve layers, first weights three times He's",
        right=("exploding gradients",),
        settings=MLP | FLAT | {"model_settings": {"hidden": [32] * 12}, "epochs": 8, "lr": 1e-3, "explosion": 0.0},
        net=scaled(3.0),
    ),
    Case(
        name="a weight that is no number",
        right=("not a number",),
        settings=DIGITS | {"epochs": 2},
        net=spoiled,
        fast=True,
    ),
    Case(
        name="labels in another order than images",
        right=("labels do not fit the images",),
        settings=DIGITS | FLAT | {"lr": 0.02, "epochs": 12},
        data=shuffled,
        fast=True,
    ),
    Case(
        name="labels in another order, a net that learns them by heart",
        right=("labels do not fit the images",),
        settings=MLP | FLAT | {"model_settings": {"hidden": [512]}, "policy": "none", "lr": 0.02, "epochs": 80},
        data=shuffled,
    ),
    Case(
        name="black images",
        right=("one answer for everything",),
        settings=DIGITS | {"epochs": 6},
        data=blank,
        fast=True,
    ),
    Case(
        name="dropout of 0.9",
        right=("validation better than training",),
        settings=MLP | {"model_settings": {"hidden": [128], "dropout": 0.9}, "epochs": 20, "lr": 0.02},
        fast=True,
    ),
    Case(
        name="validation on training images, half the labels wrong",
        right=("validation better than training",),
        settings=DIGITS | {"epochs": 16},
        data=easy,
    ),
    Case(
        name="a rate that never falls",
        right=("plateau",),
        settings=MLP
        | FLAT
        | {"model_settings": {"hidden": [8], "batch_norm": True}, "lr": 0.2, "epochs": 24, "batch_size": 16},
        fast=True,
    ),
    Case(
        name="a rate that never falls, shifted images",
        right=("plateau",),
        settings=MLP
        | FLAT
        | {"size": 16, "model_settings": {"hidden": [24]}, "pad": 3, "lr": 0.15, "epochs": 24, "batch_size": 32},
    ),
    Case(
        name="batch norms that hardly move",
        right=("batch norm drift",),
        settings=SIGNS | RESNET | {"epochs": 4, "batch_size": 32},
        data=few(400),
        net=sluggish,
    ),
    Case(
        name="batch norms that hardly move, on digits",
        right=("batch norm drift",),
        settings=MLP | {"model_settings": {"hidden": [64], "batch_norm": True}, "epochs": 10},
        net=sluggish,
        fast=True,
    ),
    Case(
        name="a disk that takes 3 ms an image",
        right=("waiting for data",),
        settings=DIGITS | {"epochs": 3, "workers": 1},
        data=slow(3e-3),
        fast=True,
    ),
    Case(
        name="tanh, first weights ten times too large",
        right=("saturated units",),
        settings=DIGITS | {"model_settings": {"activation": "tanh"}, "epochs": 8, "lr": 0.01},
        net=scaled(10.0, last=False),
        fast=True,
    ),
    Case(
        name="decay of 0.5",
        right=("decay too strong",),
        settings=DIGITS | FLAT | {"weight_decay": 0.5, "epochs": 10},
        fast=True,
    ),
)

HEALTHY = (
    Case(name="LeNet-5 on digits, the defaults, 12 epochs", settings=DIGITS | {"epochs": 12}, fast=True),
    Case(name="LeNet-5 on digits, the defaults, 40 epochs", settings={"data": "digits", "threads": 1}),
    Case(name="one hidden layer on digits", settings=MLP | {"epochs": 20}, fast=True),
    Case(
        name="dropout 0.5 and batch norm on digits",
        settings=MLP | {"model_settings": {"hidden": [128, 64], "dropout": 0.5, "batch_norm": True}, "epochs": 25},
        fast=True,
    ),
    Case(
        name="AdamW on digits",
        settings=DIGITS | {"optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.02, "epochs": 12},
        fast=True,
    ),
    Case(
        name="tanh and average pools on digits",
        settings=DIGITS | {"model_settings": {"activation": "tanh", "pool": "avg"}, "epochs": 15},
        fast=True,
    ),
    Case(
        name="Mixup on digits",
        settings=DIGITS | {"mixup": 0.4, "epochs": 20},
        fast=True,
    ),
    Case(
        name="plain SGD without smoothing, averaging or noise on digits",
        settings=DIGITS | FLAT | {"policy": "none", "lr": 0.02, "epochs": 12},
        fast=True,
    ),
    Case(name="LeNet-5 on 4,000 of MNIST", settings=MNIST | {"epochs": 5}, data=few(4000, 1000)),
    Case(
        name="two layers on 4,000 of MNIST",
        settings=MNIST | {"model": "two_layer", "pad": 0, "epochs": 8},
        data=few(4000, 1000),
    ),
    Case(
        name="ResNet-20 on 800 of MNIST, one cycle",
        settings=MNIST | RESNET | {"epochs": 6, "batch_size": 32},
        data=few(800, 300),
    ),
    Case(
        name="LeNet-5 on hand signs at 32 pixels",
        settings=SIGNS | {"model": "lenet5", "epochs": 30},
    ),
    Case(  # held out once: a third of its maps are silent on the way to 99 %
        name="LeNet-5 on hand signs, the rate falling in steps",
        settings=SIGNS
        | {"model": "lenet5", "schedule": "step", "milestones": [15, 25], "lr": 0.03, "epochs": 30, "seed": 7},
    ),
    Case(
        name="ResNet-20 on 800 hand signs, scale and crop noise",
        settings=SIGNS | RESNET | {"policy": "resnet", "epochs": 8, "batch_size": 32},
        data=few(800, 200),
    ),
    Case(
        name="LeNet-5 on 5,000 of CIFAR-10, one cycle, crops and mirrors",
        settings=CIFAR | RESNET | {"model": "lenet5", "epochs": 10, "pad": 4, "flip": True, "lr": 0.05},
        data=few(5000, 500),
    ),
    Case(
        name="fine-tuning: CIFAR-10's ResNet-20 on 600 hand signs",
        settings=SIGNS | {"model": "resnet20", "pretrained": "cifar", "lr": 0.01, "epochs": 4, "batch_size": 32},
        data=few(600, 200),
    ),
)


def train_case(case: Case, output: Path, shared: Path | None = None) -> tuple[list[Diagnosis], Series]:
    """Train it; returns what its log says, read by the same rules, and the series."""
    settings = dict(case.settings)
    where = settings.get("data")
    spec: dict[str, Any] = {"val_fraction": 0.1, "test_fraction": 0.2}
    if where == "digits":
        data = open_data("digits", **spec)
    else:
        assert shared is not None
        if where == "mnist":
            data = open_data("mnist", data_dir=str(shared / "mnist"), **spec)
        elif where == "signs":
            data = open_data(str(shared / "sign-digits" / "Dataset"), **spec)
        else:
            data = open_data(str(shared / "cifar10-jpg" / "cifar10-jpg.zip"), **spec)
        if settings.get("pretrained") == "cifar":
            settings["pretrained"] = str(next((shared / "resnet-cifar10-th" / "pretrained_models").glob("resnet20*")))
    if settings.get("policy", "light") != "light":
        settings.pop("pad", None)
    data = case.data(data)
    with _tampered(data, case.net):
        settings = {**settings, "data": "digits", "output": str(output), "name": "run"}
        with contextlib.suppress(Diverged):
            run_module.start(settings_from(settings), Silent())
    series = Series().add(LogTail(output / "run" / "log.jsonl").more())
    return diagnose(series), series


@contextlib.contextmanager
def _tampered(data: Dataset, change: Callable[[nn.Module], None]) -> Iterator[None]:
    """Runs open these data, and their nets begin with these changes."""
    opened, build = run_module._open, run_module.build_net

    def tampered(*arguments: Any) -> Any:
        net = build(*arguments)
        change(net)
        return net

    run_module._open = lambda *_: data  # type: ignore[assignment]
    run_module.build_net = tampered  # type: ignore[assignment]
    try:
        yield
    finally:
        run_module._open, run_module.build_net = opened, build


def main(sick: Sequence[Case] = SICK, healthy: Sequence[Case] = HEALTHY, about: str | None = __doc__) -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="the folder that holds mnist/, sign-digits/, …")
    parser.add_argument("--only", default="", help="runs whose name holds this")
    parser.add_argument("--output", type=Path, default=None, help="keep the runs there")
    parser.add_argument("--fast", action="store_true", help="the runs that the tests make, too")
    arguments = parser.parse_args()
    counts = {"sick": [0, 0], "healthy": [0, 0]}
    for kind, cases in (("sick", sick), ("healthy", healthy)):
        print(f"\n| {kind} | the watch says | right | seconds |\n|---|---|---|---:|")
        for case in cases:
            needs = case.settings["data"] != "digits"
            if (
                arguments.only not in case.name
                or (needs and arguments.data is None)
                or (arguments.fast and not case.fast)
            ):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                output = Path(scratch) if arguments.output is None else arguments.output / case.name.replace(" ", "-")
                started = time.perf_counter()
                found, series = train_case(case, output, arguments.data)
                seconds = time.perf_counter() - started
            healthy = not found and not series.said
            right = bool(found) and found[0].illness in case.right if case.right else healthy
            counts[kind][0] += right
            counts[kind][1] += 1
            said = "; ".join(str(one) for one in found[:1]) + "".join(f" (also: {one.illness})" for one in found[1:])
            said += "".join(f" (while it ran: {one})" for one in series.said if one not in [f.illness for f in found])
            print(f"| {case.name} | {said or '–'} | {'yes' if right else '**no**'} | {seconds:.0f} |", flush=True)
    for kind, (right, total) in counts.items():
        print(f"\n{kind}: {right} of {total}")


if __name__ == "__main__":
    sys.exit(main())
