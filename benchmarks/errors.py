"""The largest error of every algorithm and pass against float64, on easy and on hostile inputs, beside its bound.

    python benchmarks/errors.py

Errors are in units of 2⁻²⁴ · the largest Σ|a||b| of the sums, in which every algorithm states its bound, and are
the largest over the layouts; float64 is torch's. Inputs:

    normal      standard normal numbers
    large mean  the same plus 100: sums whose terms all have one sign
    wide range  normal numbers times 2ᵏ, k from −12 to 12 and another for each map
    cancelling  maps in pairs, alike but for a thousandth, with filters that are one another's negative
    spikes      zeros, but for one number in fifty, of 1000
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from striate.conv import ConvShape, algorithms, from_blocked, plan, refusal, to_blocked
from striate.conv.choose import error_bound
from striate.conv.plans import Layout, Pass

LAYOUTS: tuple[Layout, ...] = ("nchw", "channels_last", "blocked")
PASSES: tuple[Pass, ...] = ("forward", "backward_data", "backward_weights")
SHAPES = {
    "64→64 3×3@30": ConvShape.of((2, 64, 30, 30), (64, 64, 3, 3), padding=1),
    "256→160 3×3@14": ConvShape.of((1, 256, 14, 14), (160, 256, 3, 3), padding=1),
    "300→200 1×1@14": ConvShape.of((2, 300, 14, 14), (200, 300, 1, 1)),
    "64 3×3@30, depthwise": ConvShape.of((2, 64, 30, 30), (64, 1, 3, 3), padding=1, groups=64),
    "64→48 5×5@20": ConvShape.of((2, 64, 20, 20), (48, 64, 5, 5), padding=2),
    "96→96 1×7@17": ConvShape.of((1, 96, 17, 17), (96, 96, 1, 7), padding=(0, 3)),
}


def normal(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    return torch.randn(size, generator=random)


def large_mean(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    return normal(size, random) + 100


def wide_range(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    powers = torch.randint(-12, 13, (1, size[1], 1, 1), generator=random)
    return normal(size, random) * torch.exp2(powers.float())


def cancelling(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Map 2i + 1 is map 2i but for a thousandth; in filters (that is for `opposite`) its negative."""
    x = normal(size, random)
    pairs = size[1] // 2
    x[:, 1 : 2 * pairs : 2] = x[:, 0 : 2 * pairs : 2] * (1 + 1e-3 * normal((size[0], pairs, *size[2:]), random))
    return x


def opposite(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    w = normal(size, random)
    pairs = size[1] // 2
    w[:, 1 : 2 * pairs : 2] = -w[:, 0 : 2 * pairs : 2]
    return w


def spikes(size: tuple[int, ...], random: torch.Generator) -> Tensor:
    return 1000.0 * (torch.rand(size, generator=random) < 0.02)


Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]
INPUTS: dict[str, tuple[Draw, Draw]] = {  # of images and gradients, of filters
    "normal": (normal, normal),
    "large mean": (large_mean, normal),
    "wide range": (wide_range, wide_range),
    "cancelling": (cancelling, opposite),
    "spikes": (spikes, normal),
}


def exact(shape: ConvShape, pass_: Pass, x: Tensor, w: Tensor, dy: Tensor) -> Tensor:
    """torch's answer in float64."""
    x, w = x.double().requires_grad_(), w.double().requires_grad_()
    y = functional.conv2d(x, w, None, 1, (shape.rows.low, shape.columns.low), 1, shape.groups)
    if pass_ == "forward":
        return y.detach()
    dx, dw = torch.autograd.grad(y, [x, w], dy.double())
    return dx if pass_ == "backward_data" else dw


def lying(x: Tensor, layout: Layout) -> Tensor:
    if layout == "blocked":
        return to_blocked(x)
    return x.contiguous(memory_format=torch.channels_last) if layout == "channels_last" else x


def computed(shape: ConvShape, pass_: Pass, algorithm: str, layout: Layout, x: Tensor, w: Tensor, dy: Tensor) -> Tensor:
    prepared = plan(shape, algorithm, pass_, from_layout=layout, to_layout=layout)
    if pass_ == "backward_weights":
        return prepared.gradient(lying(x, layout), lying(dy, layout))
    result = prepared.run(lying(x if pass_ == "forward" else dy, layout), w)
    if result.ndim == 5:
        return from_blocked(result, shape.out_channels if pass_ == "forward" else shape.in_channels)
    return result


def main() -> None:
    random = torch.Generator().manual_seed(0)
    worst: dict[tuple[str, Pass, str], tuple[float, float]] = {}  # error, share of the bound
    for shape in SHAPES.values():
        for kind, (of_images, of_filters) in INPUTS.items():
            x, w = of_images(shape.images, random), of_filters(shape.filters, random)
            dy = of_images(shape.result, random)
            for pass_ in PASSES:
                wanted = exact(shape, pass_, x, w, dy)
                unit = 2.0**-24 * exact(shape, pass_, x.abs(), w.abs(), dy.abs()).max().item()
                for name in algorithms():
                    for layout in LAYOUTS:
                        if refusal(name, pass_, shape, layout, layout):
                            continue
                        y = computed(shape, pass_, name, layout, x, w, dy)
                        error = (y.double() - wanted).abs().max().item() / unit
                        before = worst.get((name, pass_, kind), (0.0, 0.0))
                        share = error / error_bound(shape, pass_, name)
                        worst[name, pass_, kind] = max(before[0], error), max(before[1], share)
    print(f"Over {', '.join(SHAPES)}; torch {torch.__version__}. The largest error (its share of the bound):\n")
    print("| algorithm | pass |", " | ".join(INPUTS), "|\n|---|---|" + "---|" * len(INPUTS))
    for name in algorithms():
        for pass_ in PASSES:
            cells = [worst.get((name, pass_, kind)) for kind in INPUTS]
            if any(cells):
                text = " | ".join("" if cell is None else f"{cell[0]:.2g} ({cell[1]:.2g})" for cell in cells)
                print(f"| `{name}` | {pass_.replace('_', ' ')} | {text} |")


if __name__ == "__main__":
    main()
