"""The lectures' page of histograms: ten layers of 500 units on unit Gaussian inputs, five ways to begin.

    python benchmarks/histograms.py [docs/activations.svg]

CS231n 2016, lecture 5, slides on weight initialisation (LECTURES F1): tanh with deviations of 0.01 and 1, tanh with
Xavier's, ReLU with Xavier's, ReLU with He's. Prints the deviation of each layer, and draws the page into the file that
is named, if one is; seed 0, 1,000 inputs.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from striate.train.check.beginning import health, layers_at_start
from striate.train.check.drawing import histograms, standalone

DEPTH, UNITS, INPUTS = 10, 500, 1000
WAYS: dict[str, tuple[type[nn.Module], float]] = {  # activation, variance of the weights
    "tanh, 0.01": (nn.Tanh, 0.01**2),
    "tanh, 1.0": (nn.Tanh, 1.0),
    "tanh, Xavier": (nn.Tanh, 1 / UNITS),
    "ReLU, Xavier": (nn.ReLU, 1 / UNITS),
    "ReLU, He": (nn.ReLU, 2 / UNITS),
}
SHOWN = (0, 2, 5, 9)  # layers, from 0, that the picture has room for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path)
    path: Path | None = parser.parse_args().page
    rows: list[dict[str, Any]] = []
    for name, (activation, variance) in WAYS.items():
        torch.manual_seed(0)
        images = torch.randn(INPUTS, UNITS)
        layers: list[nn.Module] = []
        for _ in range(DEPTH):
            linear = nn.Linear(UNITS, UNITS, bias=False)
            nn.init.normal_(linear.weight, std=variance**0.5)
            layers += [linear, activation()]
        seen = layers_at_start(nn.Sequential(*layers), images)
        size = float(images.std())
        print(f"{name:14}", " ".join(f"{layer.deviation:8.2g}" for layer in seen), health(seen[-1], size))
        rows += [
            {
                "name": f"{name}: {i + 1}",
                "mean": seen[i].mean,
                "deviation": seen[i].deviation,
                "low": seen[i].histogram.low,
                "high": seen[i].histogram.high,
                "counts": seen[i].histogram.counts,
                "health": health(seen[i], size),
            }
            for i in SHOWN
        ]
    title = "Ten layers of 500 units before the first step: layers 1, 3, 6 and 10, five ways to begin"
    if path is not None:
        path.write_text(standalone(histograms("page", title, rows, per_row=len(SHOWN))), encoding="utf-8")


if __name__ == "__main__":
    main()
