"""Images per second out of the loader alone: striate's against torch.utils.data.DataLoader with Pillow transforms.

    python benchmarks/loader.py [--data FOLDER] [--rounds 5] [--output results.json]

Both sides make the same training batches (64 photographs through a random 224×224 crop of the image resized to cover
it, mirrored half of the time, normalised; or 128 small images padded by 4 and cropped at random, mirrored, normalised)
at 0, 1 and 2 workers. Without noise their values are compared first, and a difference ends the program. Neither side
keeps decoded photographs. The peer is written as its users write it: Pillow opens, resizes, crops and mirrors, NumPy
and torch turn bytes into normalised floats, the default collation stacks them; its workers stay alive between epochs,
and the first epoch of either side is not counted.

One round is an epoch of every arm, in an order drawn anew each time, so a busy machine is unfair to all alike. What is
reported per arm: the median over rounds and the spread; and the median of the rounds' own ratios, striate : peer.

Without a folder, 300 pictures of 500×375 px with the 1/f spectrum of natural images (Field 1987), JPEG at quality 90.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from striate.augment import HorizontalFlip, PadCrop, Policy
from striate.data import ArraySamples, FileSamples, Loader, Preprocess, Samples
from striate.data.source import FolderSource

WORKERS = (0, 1, 2)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    """Measure the three cases, print a table, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="a folder of JPEG photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as DataLoader sets it in its workers: n workers are n threads on both sides
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        photographs = arguments.data if arguments.data is not None else synthetic_photographs(Path(folder))
        names = sorted(str(path.relative_to(photographs)) for path in photographs.rglob("*.jp*g"))
        files = FileSamples(FolderSource(photographs), names, np.arange(len(names)) % 2)
        colour = Preprocess(channels=3, size=(224, 224), mean=MEAN, std=STD)
        kind = "synthetic" if arguments.data is None else "real"
        cases[f"{len(names)} {kind} photographs, JPEG"] = case(
            files,
            lambda i: Image.open(photographs / names[i]),
            colour,
            padding=0,
            batch_size=64,
            rounds=arguments.rounds,
        )
    for name, side, channels in (("CIFAR-10-size images in memory", 32, 3), ("MNIST-size images in memory", 28, 1)):
        images = np.random.default_rng(0).integers(0, 256, (10_000, side, side, channels), dtype=np.uint8)
        small = Preprocess(channels=channels, size=(side, side), mean=MEAN[:channels], std=STD[:channels])
        cases[name] = case(
            ArraySamples(images, np.arange(len(images)) % 10),
            picture_of(images),
            small,
            padding=4,
            batch_size=128,
            rounds=arguments.rounds,
        )
    print(table(cases))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps({**circumstances(arguments.rounds), "cases": cases}, indent=1) + "\n")


# ------------------------------------------------------------------------------------------------------- measurement


def case(
    samples: Samples,
    open_image: Callable[[int], Image.Image],
    preprocess: Preprocess,
    *,
    padding: int,
    batch_size: int,
    rounds: int,
) -> dict[str, Any]:
    """Images per second of both sides at every number of workers."""
    labels = samples.labels.tolist()
    compare(Loader(samples, preprocess, batch_size=batch_size), Pictures(open_image, labels, preprocess, None))
    arms: dict[str, Callable[[int], int]] = {}
    for workers in WORKERS:
        loader = Loader(
            samples,
            preprocess,
            batch_size=batch_size,
            shuffle=True,
            workers=workers,
            cache_nbytes=0,
            policy=Policy((PadCrop(padding), HorizontalFlip())),
        )
        peer = DataLoader(
            Pictures(open_image, labels, preprocess, padding),
            batch_size=batch_size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        arms[f"striate {workers}"] = partial(drain, loader)
        arms[f"peer {workers}"] = partial(drain_peer, peer)
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for epoch in range(rounds + 1):
        for name in random.sample(sorted(arms), len(arms)):
            begun = time.perf_counter()
            count = arms[name](epoch)
            if epoch > 0:  # the first starts workers and fills file caches
                rates[name].append(count / (time.perf_counter() - begun))
    return {
        str(workers): {
            "striate_images_per_second": summary(rates[f"striate {workers}"]),
            "peer_images_per_second": summary(rates[f"peer {workers}"]),
            "ratio": summary(
                [a / b for a, b in zip(rates[f"striate {workers}"], rates[f"peer {workers}"], strict=True)], digits=2
            ),
        }
        for workers in WORKERS
    }


def drain(loader: Loader, epoch: int) -> int:
    """Images in an epoch, all of them made."""
    return sum(len(batch.labels) for batch in loader.epoch(epoch))


def drain_peer(loader: DataLoader[tuple[torch.Tensor, int]], epoch: int) -> int:
    """The same; the peer's order needs no number of the epoch."""
    return sum(len(labels) for _, labels in loader)


def compare(loader: Loader, pictures: "Pictures") -> None:
    """Without noise both sides yield the same values, up to the rounding of a handful of float32 operations."""
    for (images, labels, _), (expected, expected_labels) in zip(
        loader.epoch(0), DataLoader(pictures, batch_size=loader.batch_size), strict=True
    ):
        if not torch.equal(labels, expected_labels) or (images - expected).abs().max() > 5e-6:
            sys.exit("the two sides do not yield the same batches, so their speeds cannot be compared")


def summary(values: list[float], digits: int = 0) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


# ---------------------------------------------------------------------------------------------------------- the peer


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """What a user of DataLoader and Pillow writes; with `padding` None, the centre crop and no mirror."""

    def __init__(
        self, open_image: Callable[[int], Image.Image], labels: list[int], preprocess: Preprocess, padding: int | None
    ) -> None:
        self.open_image = open_image
        self.labels = labels
        self.mode = "L" if preprocess.channels == 1 else "RGB"
        self.size = preprocess.size
        self.padding = padding
        self.mean = torch.tensor(preprocess.mean).view(-1, 1, 1)
        self.std = torch.tensor(preprocess.std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        image = self.open_image(i).convert(self.mode)
        h, w = self.size
        scale = max(h / image.height, w / image.width)
        if scale != 1:
            covering = (max(w, int(image.width * scale + 0.5)), max(h, int(image.height * scale + 0.5)))
            image = image.resize(covering, Image.Resampling.BILINEAR)
        if self.padding is None:
            left, top = (image.width - w) // 2, (image.height - h) // 2
        else:
            if self.padding:
                image = ImageOps.expand(image, self.padding)
            left, top = random.randint(0, image.width - w), random.randint(0, image.height - h)
        if image.size != (w, h):
            image = image.crop((left, top, left + w, top + h))
        if self.padding is not None and random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).view(h, w, -1).permute(2, 0, 1).contiguous()
        return pixels.float().div_(255).sub_(self.mean).div_(self.std), self.labels[i]


def picture_of(images: NDArray[np.uint8]) -> Callable[[int], Image.Image]:
    """Image i of an array, as Pillow holds it."""
    return lambda i: Image.fromarray(images[i].squeeze())


# ------------------------------------------------------------------------------------------------------------- input


def synthetic_photographs(folder: Path, count: int = 300, height: int = 375, width: int = 500) -> Path:
    """JPEG files of noise whose amplitude falls as 1/frequency; their size on disk is that of photographs."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    for i in range(count):
        channels = []
        for _ in range(3):
            phase = np.exp(2j * np.pi * rng.random(frequency.shape))
            field = np.fft.irfft2(phase / frequency, s=(height, width))
            channels.append(field / field.std())
        grey, red, blue = channels  # colour varies less than brightness
        pixels = np.stack([grey + 0.3 * red, grey, grey + 0.3 * blue], axis=-1) * 50 + 128
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i:03d}.jpg", quality=90)
    return folder


# ------------------------------------------------------------------------------------------------------------ report


def table(cases: dict[str, Any]) -> str:
    """A row for every case and number of workers, in Markdown."""
    lines = [
        "| images/s, median (min–max) | workers | striate | DataLoader, Pillow | ratio |",
        "|---|---|---|---|---|",
    ]
    for name, by_workers in cases.items():
        for workers, row in by_workers.items():
            ours, peers = (spread(row[f"{side}_images_per_second"], 0) for side in ("striate", "peer"))
            lines.append(f"| {name} | {workers} | {ours} | {peers} | {spread(row['ratio'], 1)} |")
    return "\n".join(lines)


def spread(figures: dict[str, float], digits: int) -> str:
    """Median (min–max), as a person reads it."""
    return "{median:,.{d}f} ({min:,.{d}f}–{max:,.{d}f})".format(d=digits, **figures)


def circumstances(rounds: int) -> dict[str, Any]:
    """What a figure needs beside it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "processor": model,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "rounds": rounds,
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
