"""Do k views cost less than k evaluations of a single view?

The same photographs, from their files: one marginal over k views against k times the marginal over one, which decodes,
resizes and computes each time. Both are measured in every round, one after the other, and ratios are taken within a
round. Stated: the passes made (windows that coincide are made once), the ratio, and of it the share that is left when
the passes saved are counted as if made: what decoding once, resizing once a scale and full batches save by themselves.

    python benchmarks/marginal.py FOLDER [--model resnet20 --size 64 --images 24 --rounds 5 --views 2,10,50]
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from striate import create_model
from striate.bench.facts import machine
from striate.data import FileSamples, Preprocess
from striate.data.source import FolderSource
from striate.evaluate import Marginal, Member, Plan
from striate.evaluate.views import NAMED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--views", default="2,10,50")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)

    samples = photographs(asked.folder, asked.images)
    preprocess = Preprocess(channels=3, size=(asked.size, asked.size), mean=(0.5,) * 3, std=(0.25,) * 3)
    net = create_model(asked.model, num_classes=2, input_size=(asked.size, asked.size)).eval()
    member = Member(name=asked.model, net=net, classes=("0", "1"), preprocess=preprocess)
    print(machine(asked.threads))
    print(f"{asked.model} at {asked.size} px, {len(samples)} photographs, {asked.rounds} rounds, median (least … most)")
    print(f"{'views':>6} {'passes':>7} {'seconds':>8} {'one view, s':>12} {'of k single views':>24} {'per pass':>9}")

    single = Marginal((member,), Plan())
    single.over(samples)  # warm
    for k in map(int, asked.views.split(",")):
        many = Marginal((member,), NAMED["flip" if k == 2 else str(k)])
        rounds = []
        for _ in range(asked.rounds):
            one, (took, passes) = timed(single, samples)[0], timed(many, samples)
            rounds.append((took, one, took / (k * one)))
        took, one, share = (statistics.median(column) for column in zip(*rounds, strict=True))
        spread = f"{share:.3f} ({min(r[2] for r in rounds):.3f} … {max(r[2] for r in rounds):.3f})"
        made = passes / (k * len(samples))
        print(f"{k:>6} {passes:>7} {took:>8.2f} {one:>12.3f} {spread:>24} {share / made:>9.3f}")


def timed(marginal: Marginal, samples: FileSamples) -> tuple[float, int]:
    started = time.perf_counter()
    passes = marginal.over(samples, workers=2).passes
    return time.perf_counter() - started, passes


def photographs(folder: Path, count: int) -> FileSamples:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [str(files[i].relative_to(folder)) for i in np.arange(count) * len(files) // count]
    return FileSamples(FolderSource(folder), chosen, np.zeros(count, np.int64))


if __name__ == "__main__":
    main()
