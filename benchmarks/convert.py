"""The native core's speed: batch conversion and resizing, against the machine's memory and against the peers.

    python benchmarks/convert.py [--rounds 25] [--clock processor|wall] [--output benchmarks/results]

Conversion must read one byte and write four per value; its floor is the time a copy of as many bytes takes. Peers are
NumPy and torch doing the same to the same bytes, and Pillow for resizing, whose bytes ours equal. Everything in one
process, in a new order in every round (so that a busy neighbour and a warm cache serve all alike), on one thread,
medians over the rounds; compare the ratios. The clock is the thread's processor time, which leaves out the waiting for
a processor that others use; `--clock wall` is for a machine that does nothing else, and adds a conversion with two
threads. Each result is checked against the peer's before it is timed.
"""

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image

from striate import _native

Timed = dict[str, Callable[[], object]]

CONVERSIONS = {  # name: (images N, H, W, C), batch, window (h, w)
    "digits-like 8×8 grey, batch 128": ((1797, 8, 8, 1), 128, (8, 8)),
    "MNIST-like 28×28 grey, batch 128": ((4096, 28, 28, 1), 128, (28, 28)),
    "CIFAR-like 32×32 RGB, batch 128": ((4096, 32, 32, 3), 128, (32, 32)),
    "photographs 256×256 RGB to 224×224, batch 64": ((256, 256, 256, 3), 64, (224, 224)),
}
RESIZES = {  # name: (H, W, C), (height, width)
    "500×375 to 341×256, RGB": ((375, 500, 3), (256, 341)),
    "500×375 to 224×224, RGB": ((375, 500, 3), (224, 224)),
    "3000×2000 to 384×256, RGB": ((2000, 3000, 3), (256, 384)),
    "500×375 to 341×256, grey": ((375, 500, 1), (256, 341)),
}
FILTERS = ("box", "bilinear", "bicubic", "lanczos")


CLOCKS = {"processor": time.thread_time, "wall": time.perf_counter}


def seconds(calls: Timed, rounds: int, clock: str) -> dict[str, dict[str, float]]:
    """Median and quartiles of each call, all calls once in every round."""
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name in order.sample(list(calls), len(calls)):
            begin = CLOCKS[clock]()
            calls[name]()
            times[name].append(CLOCKS[clock]() - begin)
    quartiles = {name: statistics.quantiles(taken, n=4) for name, taken in times.items()}
    return {name: {"median": q[1], "lower": q[0], "upper": q[2]} for name, q in quartiles.items()}


def conversion(shape: tuple[int, ...], batch: int, size: tuple[int, int], rounds: int, clock: str) -> dict[str, object]:
    """One batch, cut at the centre, by us (several ways), NumPy and torch; and a copy of as many bytes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    indices = rng.integers(0, shape[0], batch)
    channels = shape[3]
    top, left = (shape[1] - size[0]) // 2, (shape[2] - size[1]) // 2
    plain = np.tile(np.array([top, left, 0], np.int32), (batch, 1))
    mirrored = plain + np.array([0, 0, 1], np.int32)
    padded = plain + rng.integers(-4, 5, (batch, 3)).astype(np.int32)
    padded[:, 2] = rng.integers(0, 2, batch)
    fill = np.zeros(channels, np.uint8)
    scale, shift = np.full(channels, 1 / 64, np.float32), np.full(channels, -2, np.float32)
    out = np.empty((batch, channels, *size), np.float32)
    torch_out, last_out = torch.empty(out.shape), torch.empty(out.shape).to(memory_format=torch.channels_last)
    torch_scale, torch_shift = (torch.from_numpy(v)[:, None, None] for v in (scale, shift))
    torch_images, torch_indices = torch.from_numpy(images), torch.from_numpy(indices)

    def ours(windows: np.ndarray, to: np.ndarray | torch.Tensor, threads: int = 1, **isa: str) -> None:
        _native.batch_from_array(images, indices, windows, fill, scale, shift, to, threads, **isa)

    def numpy() -> np.ndarray:
        pixels = images[indices][:, top : top + size[0], left : left + size[1]]
        return np.ascontiguousarray((pixels * scale + shift).transpose(0, 3, 1, 2))

    def torch_in_place() -> torch.Tensor:  # the fewest passes and no new tensor but the gathered bytes
        pixels = torch_images[torch_indices][:, top : top + size[0], left : left + size[1]]
        return torch_out.copy_(pixels.permute(0, 3, 1, 2)).mul_(torch_scale).add_(torch_shift)

    def torch_chain() -> torch.Tensor:  # as it is usually written
        pixels = torch_images[torch_indices][:, top : top + size[0], left : left + size[1]]
        return pixels.permute(0, 3, 1, 2).float().mul(torch_scale).add(torch_shift).contiguous()

    ours(plain, out)
    for peer in (numpy(), torch_in_place().numpy(), torch_chain().numpy()):
        assert np.array_equal(peer, out)

    traffic = 5 * out.size  # bytes read and written
    source, target = np.zeros(traffic // 2, np.uint8), np.zeros(traffic // 2, np.uint8)
    calls: Timed = {
        "copy": lambda: np.copyto(target, source),
        "ours": lambda: ours(plain, out),
        "ours, mirrored": lambda: ours(mirrored, out),
        "ours, shifted by up to 4 and half mirrored": lambda: ours(padded, out),
        "ours, channels last": lambda: ours(plain, last_out),
        **({"ours, 2 threads": lambda: ours(plain, out, 2)} if clock == "wall" else {}),
        **{f"ours, {isa}": (lambda isa=isa: ours(plain, out, isa=isa)) for isa in _native.available_isas()[:-1]},
        "NumPy": numpy,
        "torch, in place": torch_in_place,
        "torch, chained": torch_chain,
    }
    taken = seconds(calls, rounds, clock)
    mine, copy = taken["ours"]["median"], taken["copy"]["median"]
    return {
        "values": out.size,
        "seconds": taken,
        "gigabytes_per_second": traffic / mine / 1e9,
        "share_of_copy": copy / mine,
        "times_faster": {name: taken[name]["median"] / mine for name in ("NumPy", "torch, in place", "torch, chained")},
    }


def resizing(
    shape: tuple[int, int, int], size: tuple[int, int], name: str, rounds: int, clock: str
) -> dict[str, object]:
    """One image, by Pillow and by every instruction set of ours."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    pillow = Image.fromarray(image if shape[2] == 3 else image[:, :, 0])
    resample = Image.Resampling[name.upper()]

    def pillows() -> Image.Image:
        return pillow.resize((size[1], size[0]), resample)

    assert np.array_equal(_native.resize(image, *size, name), np.asarray(pillows()).reshape(*size, shape[2]))
    calls: Timed = {"Pillow": pillows}
    for isa in _native.available_isas():
        calls[isa] = lambda isa=isa: _native.resize(image, *size, name, isa=isa)
    taken = seconds(calls, rounds, clock)
    faster = {isa: taken["Pillow"]["median"] / taken[isa]["median"] for isa in _native.available_isas()}
    return {"seconds": taken, "times_faster": faster}


def machine() -> dict[str, object]:
    """What the figures belong to."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "isa": _native.isa(),
        "versions": {"numpy": np.__version__, "torch": torch.__version__, "pillow": PIL.__version__},
    }


def page(results: dict) -> str:
    """The results as Markdown."""
    host = results["machine"]
    isas = _native.available_isas()
    lines = [
        f"# Batch conversion and resizing, {host['date']}",
        "",
        f"`python benchmarks/convert.py`, commit {host['commit']}: {host['processor']}, {host['cores']} cores, load "
        f"{host['load']:.1f} (other work was running), {host['isa']}; "
        + ", ".join(f"{name} {version}" for name, version in host["versions"].items())
        + f". Medians of {results['rounds']} rounds, a new order in each, {results['clock']} time, one thread.",
        "",
        "## Conversion",
        "",
        "“Of a copy” is the time of a copy of as many bytes (one read and four written per value) over our time.",
        "",
        "| batch | ours, µs | GB/s | of a copy | NumPy | torch in place | torch chained |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, result in results["conversion"].items():
        ratios = " | ".join(f"{ratio:.1f}×" for ratio in result["times_faster"].values())
        lines.append(
            f"| {name} | {result['seconds']['ours']['median'] * 1e6:.0f} | {result['gigabytes_per_second']:.1f} | "
            f"{result['share_of_copy']:.2f} | {ratios} |"
        )
    ways = [way for way in next(iter(results["conversion"].values()))["seconds"] if way.startswith("ours, ")]
    lines += ["", "Other ways, as multiples of the time of the first column:", ""]
    lines += ["| batch | " + " | ".join(way.removeprefix("ours, ") for way in ways) + " |"]
    lines += ["|---|" + "---:|" * len(ways)]
    for name, result in results["conversion"].items():
        mine = result["seconds"]["ours"]["median"]
        cells = " | ".join(f"{result['seconds'][way]['median'] / mine:.2f}" for way in ways)
        lines.append(f"| {name} | {cells} |")
    lines += ["", "## Resizing: times faster than Pillow, one thread, the same bytes", ""]
    lines += ["| image | filter | Pillow, µs | " + " | ".join(isas) + " |", "|---|---|---:|" + "---:|" * len(isas)]
    for name, filters in results["resizing"].items():
        for filter_name, result in filters.items():
            ratios = " | ".join(f"{result['times_faster'][isa]:.1f}×" for isa in isas)
            lines.append(f"| {name} | {filter_name} | {result['seconds']['Pillow']['median'] * 1e6:.0f} | {ratios} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="processor")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _native.keep_memory()  # for the peers' temporaries as much as for ours: page faults are not what is compared
    results = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "clock": arguments.clock,
        "conversion": {
            name: conversion(*case, arguments.rounds, arguments.clock) for name, case in CONVERSIONS.items()
        },
        "resizing": {
            name: {
                filter_name: resizing(*case, filter_name, arguments.rounds, arguments.clock) for filter_name in FILTERS
            }
            for name, case in RESIZES.items()
        },
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    stem = arguments.output / f"convert-{results['machine']['date']}"
    stem.with_suffix(".json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    stem.with_suffix(".md").write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
