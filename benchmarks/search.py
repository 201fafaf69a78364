"""Random against grid at equal budget: real trials of a real space, over 20 repetitions (Bergstra and Bengio 2012).

    python benchmarks/search.py MNIST_DIR [--repetitions 20] [--output benchmarks/results]

A two-layer net of 32 hidden units on 3,000 digits of MNIST, chosen by 5,000 others; the space is rate, weight decay and
momentum; 27 trials a search, which is a whole 3 × 3 × 3 grid, ends included. Every trial is trained, none looked up.
In each repetition both searches train from the same seed, other than in the one before; random draws other points, the
grid is tried in another order. The curve is the best validation accuracy so far; at the end the best trial of each
search is scored on the 10,000 test images.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from striate.bench.facts import machine
from striate.data import Dataset, Loader, Preprocess, Samples
from striate.nets.weights import load_model
from striate.pages.curves import Series, line_chart
from striate.search.draws import stage_points
from striate.search.materials import Materials
from striate.search.space import Range, apply
from striate.search.trial import run_trial
from striate.tasks import Classification, decode_all
from striate.train import Settings
from striate.train.resolve import open_data

TRAIN, VAL, TRIALS = 3000, 5000, 27
FIRST = 9  # trial of the picture: before it, a search may have seen nothing but explosions
SPACE = {
    "lr": Range(low=1e-4, high=1e1, log=True),
    "weight_decay": Range(low=1e-7, high=1e-2, log=True),
    "momentum": Range(low=0.0, high=0.95),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--date", default="2026-11-28")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(
        data="mnist", data_dir=str(arguments.data_dir), model="two_layer", model_settings={"hidden": 32}, size=28,
        epochs=3, policy="none", label_smoothing=0.0, ema=0.0, schedule="constant", nesterov=False, precision="fp32",
        channels_last=False, workers=0,
    )  # fmt: skip
    materials = Materials(settings)
    test = open_data(settings).test
    assert test is not None
    materials.data = small(materials.data)
    began = time.monotonic()
    found: dict[str, list[Curve]] = {"random": [], "grid": []}
    for repetition in range(arguments.repetitions):
        for sampler, curves in found.items():
            curves.append(search(settings.replace(seed=repetition), materials, test, sampler, repetition))
        ends = "  ".join(f"{name} {curves[-1].best[-1]:.2%} ({curves[-1].test:.2%})" for name, curves in found.items())
        print(f"{repetition + 1:>2}  {ends}", flush=True)
    write(arguments.output, arguments.date, found, time.monotonic() - began)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """A search: the best validation accuracy after each trial (0 before there is one), and its best trial's test."""

    best: list[float]
    test: float
    exploded: int


def small(data: Dataset) -> Dataset:
    """The first TRAIN images to train on and VAL to choose by, of an order drawn once."""
    assert data.val is not None
    order = np.random.Generator(np.random.Philox(0)).permutation(len(data.train))
    return dataclasses.replace(
        data, train=data.train.subset(order[:TRAIN]), val=data.train.subset(order[TRAIN : TRAIN + VAL])
    )


def search(settings: Settings, materials: Materials, test: Samples, sampler: str, repetition: int) -> Curve:
    """All trials of one search, trained one after another."""
    best: list[float] = []
    top, model, exploded = 0.0, None, 0
    with tempfile.TemporaryDirectory() as folder:
        for number, values in enumerate(stage_points(SPACE, TRIALS, sampler, repetition, 0)):
            path = Path(folder) / str(number)
            result = run_trial(apply(settings, values), materials, path, lambda *_: False, keep_model=True)
            exploded += result.outcome == "exploded"
            if result.value is not None and result.value > top:
                top, model = result.value, path / "best.safetensors"
            best.append(top)
        assert model is not None
        net, card = load_model(model)
    loader = Loader(test, Preprocess.from_dict(dict(card.preprocess)), batch_size=1000, workers=0)
    task = Classification(materials.data.classes)
    metrics = task.metrics(*decode_all(net, task, loader.epoch(0), torch.device("cpu")))
    return Curve(best=best, test=metrics.accuracy, exploded=exploded)


def write(folder: Path, date: str, found: dict[str, list[Curve]], seconds: float) -> None:
    """The table as Markdown, the curves as SVG, the numbers as JSON."""
    repetitions = len(found["random"])
    facts = machine(threads=1)
    took = f"{2 * TRIALS * repetitions:,} trials trained in {seconds / 60:.1f} min"
    lines = [
        f"# Random against grid, {date}",
        "",
        f"{facts}; torch {torch.__version__}. `python benchmarks/search.py MNIST_DIR`: two_layer, 32 hidden units, 3 "
        f"epochs on {TRAIN:,} digits of MNIST, chosen by {VAL:,} others; {len(SPACE)} dimensions, {TRIALS} trials a "
        f"search, {repetitions} repetitions of both: {took}.",
        "",
        "Best validation accuracy so far, mean over the repetitions (least … most):",
        "",
        "| trials | random | grid | random better, of " + f"{repetitions} | mean difference, points (95 %) |",
        "|---:|---|---|---:|---|",
    ]
    for count in (1, 3, 6, 9, 14, 20, TRIALS):
        at = {name: [one.best[count - 1] for one in curves] for name, curves in found.items()}
        lines.append(
            f"| {count} | {spread(at['random'])} | {spread(at['grid'])} | {compared(at['random'], at['grid'])} |"
        )
    tests = {name: [one.test for one in curves] for name, curves in found.items()}
    lines += [
        "",
        "The best trial of each search on the 10,000 test images:",
        "",
        "| | random | grid | random better | mean difference, points (95 %) |",
        "|---|---|---|---:|---|",
        f"| test accuracy | {spread(tests['random'])} | {spread(tests['grid'])} | {compared(**tests)} |",
        "",
        "Exploded, of "
        + f"{TRIALS} trials, mean: "
        + ", ".join(f"{name} {statistics.mean(one.exploded for one in curves):.1f}" for name, curves in found.items())
        + f". Curves: search-{date}.svg; every number: search-{date}.json.",
        "",
    ]
    (folder / f"search-{date}.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / f"search-{date}.svg").write_text(picture(found), encoding="utf-8")
    plain = {name: [dataclasses.asdict(one) for one in curves] for name, curves in found.items()}
    (folder / f"search-{date}.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.2%} ({min(values):.2%} … {max(values):.2%})"


def compared(random: list[float], grid: list[float]) -> str:
    """How often random was better, ties as halves, and the paired difference with its bootstrap interval."""
    wins = sum((a > b) + 0.5 * (a == b) for a, b in zip(random, grid, strict=True))
    differences = 100 * (np.array(random) - np.array(grid))
    draws = np.random.Generator(np.random.Philox(1)).integers(0, len(random), (10_000, len(random)))
    low, high = np.quantile(differences[draws].mean(1), [0.025, 0.975])
    return f"{wins:g} | {differences.mean():+.2f} ({low:+.2f} … {high:+.2f})"


def picture(found: dict[str, list[Curve]]) -> str:
    """Mean best so far, in a band from the lower to the upper quartile of the repetitions."""
    series = []
    for (name, curves), kind in zip(found.items(), "ab", strict=True):
        table = np.array([one.best for one in curves])[:, FIRST - 1 :]
        low, high = np.quantile(table, [0.25, 0.75], axis=0)
        x = list(range(FIRST, TRIALS + 1))
        y, low, high = table.mean(0).tolist(), low.tolist(), high.tolist()
        series.append(Series(name=name, x=x, y=y, kind=kind, low=low, high=high))
    chart = line_chart("best", "Best so far", series, x_name="trial", y_name="validation accuracy", shares=True)
    look = (
        "<style>svg{background:#fff;color:#17191d;font-family:system-ui,DejaVu Sans,sans-serif}"
        ".a{color:#0a5fa8}.b{color:#b45309}.grid,.tick{stroke:#e2e5e9}.line{stroke-width:2}.band{fill:currentColor;fill-opacity:.2}.axis{color:#5a616b}"
        "</style>"
    )
    start, end, rest = chart.partition("<title")
    return start.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + look + end + rest + "\n"


if __name__ == "__main__":
    main()
