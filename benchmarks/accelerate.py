"""Whole models before and after `striate.accelerate`: images a second, training step and inference.

    python benchmarks/accelerate.py [--models vgg16,resnet18,…] [--batches 1,16] [--train] [--output results.json]

The model as torch runs it (NCHW and channels-last) and with its convolutions by what was measured fastest, in turns
within one process; ratios are medians of neighbours. The choice is made first and is not timed. The floor is what is
not convolution: pools, norms and linear layers stay as they were, so the convolutions' share bounds a ratio.
"""

import argparse
import gc
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import striate
from striate import _native

MODELS = "resnet20,resnet18"
SMALL = {"resnet20": (3, 32, 32)}  # every other net takes ImageNet's size


def main() -> None:
    """Measure every model and batch, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--train", action="store_true", help="a whole step, not an answer")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    _native.keep_memory()  # for everybody alike
    torch.set_num_threads(arguments.threads)
    rows = []
    print("model, batch: ms by torch, NCHW and channels-last; accelerated; ratio to the faster (quartiles); error")
    for name in arguments.models.split(","):
        for batch in map(int, arguments.batches.split(",")):
            row = measured(name, batch, train=arguments.train, rounds=arguments.rounds)
            rows.append(row)
            print(
                f"{name}, {batch}: {row['nchw_ms']:.2f}, {row['channels_last_ms']:.2f}; {row['ours_ms']:.2f}; "
                f"{row['ratio']:.2f} ({row['low']:.2f}–{row['high']:.2f}); {row['error']:.0e}; "
                f"{row['changed']} of {row['convolutions']} convolutions changed",
                flush=True,
            )
            gc.collect()
    if arguments.output is not None:
        facts = {
            "threads": arguments.threads,
            "isa": _native.isa(),
            "torch": torch.__version__,
            "train": arguments.train,
        }
        facts["date"] = time.strftime("%Y-%m-%d")
        arguments.output.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")


def measured(name: str, batch: int, *, train: bool, rounds: int) -> dict[str, Any]:
    """One model and batch."""
    torch.manual_seed(0)
    x = torch.randn(batch, *SMALL.get(name, (3, 224, 224)))
    ways = {}
    for way in ("nchw", "channels_last", "ours nchw", "ours channels_last"):
        last = way.endswith("channels_last")
        layout = torch.channels_last if last else torch.contiguous_format
        torch.manual_seed(1)
        model = striate.create_model(name, num_classes=1000).train(train).to(memory_format=layout)
        ways[way] = (model, x.contiguous(memory_format=layout))
    accelerations = {
        way: striate.accelerate(model, given, verbose=False) for way, (model, given) in ways.items() if "ours" in way
    }
    with torch.no_grad():
        answers = {way: model.eval()(given) for way, (model, given) in ways.items()}
    for model, _ in ways.values():
        model.train(train)
    wanted = answers["nchw"]
    error = max((answers[way] - wanted).abs().max().item() for way in accelerations) / wanted.abs().max().item()
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, (model, given) in ways.items():
            begin = time.perf_counter()
            step(model, given, train=train)
            if turn > 0:
                times[way].append(time.perf_counter() - begin)
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    torchs, ours = min(("nchw", "channels_last"), key=medians.__getitem__), min(accelerations, key=medians.__getitem__)
    ratios = sorted(a / b for a, b in zip(times[torchs], times[ours], strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    layers = accelerations[ours].layers
    return {
        "model": name,
        "batch": batch,
        "nchw_ms": 1e3 * medians["nchw"],
        "channels_last_ms": 1e3 * medians["channels_last"],
        "ours_ms": 1e3 * medians[ours],
        "ratio": middle,
        "low": low,
        "high": high,
        "error": error,
        "changed": sum(layer.changed for layer in layers),
        "convolutions": len(layers),
    }


def step(model: torch.nn.Module, x: torch.Tensor, *, train: bool) -> None:
    """An answer, or forward and backward."""
    if not train:
        with torch.no_grad():
            model(x)
        return
    model.zero_grad()
    y = model(x)
    (y if isinstance(y, torch.Tensor) else y[0]).square().mean().backward()


if __name__ == "__main__":
    main()
