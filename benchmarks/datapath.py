"""Images per second of the whole data path, loader to loader: striate's against torch.utils.data.DataLoader.

    python benchmarks/datapath.py {files,packed,memory} [--data FOLDER] [--rounds 5] [--output results.json]

- **files**: JPEG photographs → RandomResizedCrop 224, mirror, normalise. Peers: Pillow in a Dataset, as torchvision's
  transforms call it (crop, then antialiased resize), and albumentations with OpenCV's decoder (not antialiased).
- **packed**: raw 256×256 px images in one file → random 224×224 crops, mirror, normalise. Peer: a Dataset that slices a
  NumPy memmap. Also the share of the machine's memory bandwidth, which is measured by copying an array.
- **memory**: 32×32 px images → pad by 4, crop, mirror, cut out 8×8, normalise, batches of 128. Peer: a per-sample
  pipeline in NumPy. Beside it the training rate of ResNet-20, which the loader must not hold back.

One round is an epoch of every arm, in an order drawn anew each time, so that a busy machine is unfair to all alike.
Reported per arm: the median over rounds and the spread; ratios are medians of the rounds' own. Neither side keeps
decoded images. The first epoch of each arm is not counted. DataLoader's workers stay alive between epochs.
"""

import argparse
import importlib.util
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loader import MEAN, STD, circumstances, drain, drain_peer, spread, summary, synthetic_photographs
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from striate.augment import Cutout, HorizontalFlip, PadCrop, Policy, RandomResizedCrop
from striate.data import ArraySamples, FileSamples, Loader, Preprocess
from striate.data import Dataset as Images
from striate.data import open as open_data
from striate.data.pack.size import PackSize
from striate.data.pack.writer import write_pack
from striate.data.source import FolderSource
from striate.nets import create_model

PHOTOGRAPHS, CROP, PACKED_SIDE = 200, 224, 256
ALBUMENTATIONS = importlib.util.find_spec("albumentations") is not None

Arms = dict[str, Callable[[int], int]]


def main() -> None:
    """Measure one case, print its table, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=("files", "packed", "memory"), nargs="?", default="memory")
    parser.add_argument("--data", type=Path, default=None, help="a folder of JPEG photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as DataLoader sets it in its workers: n workers are n threads on both sides
    with tempfile.TemporaryDirectory() as folder:
        arms, notes = {"files": files, "packed": packed, "memory": memory}[arguments.case](Path(folder), arguments.data)
        rates = measured(arms, arguments.rounds)
    figures = {name: summary(values) for name, values in rates.items()}
    ratios = {name: ratio for name in rates if (ratio := against(name, rates)) is not None}
    print(table(figures, ratios))
    remarks = [note(figures) for note in notes]
    print(*remarks, sep="\n")
    if arguments.output is not None:
        record = {"case": arguments.case, "images_per_second": figures, "ratios": ratios, "remarks": remarks}
        arguments.output.write_text(json.dumps({**circumstances(arguments.rounds), **record}, indent=1) + "\n")


# ------------------------------------------------------------------------------------------------------------- cases


def files(folder: Path, data: Path | None) -> tuple[Arms, list[Callable[[dict[str, Any]], str]]]:
    """RandomResizedCrop and mirror of photographs in files."""
    root = data if data is not None else synthetic_photographs(folder, PHOTOGRAPHS)
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*.jp*g"))[:PHOTOGRAPHS]
    samples = FileSamples(FolderSource(root), names, np.arange(len(names)) % 2)
    preprocess = Preprocess(channels=3, size=(CROP, CROP), mean=MEAN, std=STD)
    policy = Policy((RandomResizedCrop(), HorizontalFlip()))
    paths, arms = [root / name for name in names], {}
    for workers in (1, 2):
        arms[f"striate {workers}"] = ours(samples, preprocess, policy, workers)
        arms[f"Pillow {workers}"] = peer(PillowFiles(paths), workers)
        if ALBUMENTATIONS:
            arms[f"albumentations {workers}"] = peer(AlbumentationsFiles(paths), workers)
    kind = "synthetic" if data is None else "real"
    return arms, [lambda _: f"{len(names)} {kind} photographs, JPEG"]


def packed(folder: Path, data: Path | None) -> tuple[Arms, list[Callable[[dict[str, Any]], str]]]:
    """Random crops of raw images in one file."""
    count = 640
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, PACKED_SIDE, PACKED_SIDE, 3), dtype=np.uint8)
    images = ArraySamples(pixels, np.arange(count) % 2)
    whole = Images(name="x", spec="x", classes=("a", "b"), train=images, val=None, test=None, mirror=True)
    write_pack(whole, folder / "x.arrow", size=PackSize(exact=(PACKED_SIDE, PACKED_SIDE)))
    np.save(folder / "x.npy", pixels)
    samples = open_data(folder / "x.arrow").train
    preprocess = Preprocess(channels=3, size=(CROP, CROP), resize_size=(PACKED_SIDE, PACKED_SIDE), mean=MEAN, std=STD)
    policy = Policy((PadCrop(0), HorizontalFlip()))
    arms = {}
    for workers in (0, 1, 2):
        arms[f"striate {workers}"] = ours(samples, preprocess, policy, workers)
        arms[f"memmap {workers}"] = peer(MappedCrops(folder / "x.npy"), workers)
    bandwidth = copy_bandwidth()
    per_image = CROP * CROP * 3 * (1 + 4)  # bytes read once, floats written once

    def share(figures: dict[str, Any]) -> str:
        best = max(figures[f"striate {workers}"]["median"] for workers in (0, 1, 2))
        moved = best * per_image / 1e9
        return (
            f"memory: {best:,.0f} images/s move {moved:.1f} GB/s (bytes read, floats written), {moved / bandwidth:.0%} "
            f"of the {bandwidth:.1f} GB/s that copying an array reaches on one thread"
        )

    return arms, [share]


def memory(folder: Path, data: Path | None) -> tuple[Arms, list[Callable[[dict[str, Any]], str]]]:
    """Pad, crop, mirror, cut out: the CIFAR recipe, from memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (3840, 32, 32, 3), dtype=np.uint8)
    samples = ArraySamples(pixels, np.arange(len(pixels)) % 10)
    preprocess = Preprocess(channels=3, size=(32, 32), mean=MEAN, std=STD)
    policy = Policy((PadCrop(4), HorizontalFlip(), Cutout(8)))
    arms = {}
    for workers in (0, 1, 2):
        arms[f"striate {workers}"] = ours(samples, preprocess, policy, workers, batch_size=128)
        arms[f"per-sample {workers}"] = peer(CifarPerSample(pixels), workers, batch_size=128)
    net = resnet20_images_per_second()

    def beside(figures: dict[str, Any]) -> str:
        one = figures["striate 0"]["median"]
        return (
            f"ResNet-20 trains {net:,.0f} images/s on 2 threads (forward and backward, batches of 128); loading on the "
            f"step's own thread takes {net / one:.1%} of that time"
        )

    return arms, [beside]


# ------------------------------------------------------------------------------------------------------- measurement


def ours(
    samples: Any, preprocess: Preprocess, policy: Policy, workers: int, batch_size: int = 64
) -> Callable[[int], int]:
    loader = Loader(
        samples, preprocess, batch_size=batch_size, shuffle=True, workers=workers, policy=policy, cache_nbytes=0
    )
    return lambda epoch: drain(loader, epoch)


def peer(dataset: Dataset[tuple[torch.Tensor, int]], workers: int, batch_size: int = 64) -> Callable[[int], int]:
    loader = DataLoader(
        dataset, batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda epoch: drain_peer(loader, epoch)


def measured(arms: Arms, rounds: int) -> dict[str, list[float]]:
    """Images per second of every arm in every round."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for epoch in range(rounds + 1):
        for name in random.sample(sorted(arms), len(arms)):
            begun = time.perf_counter()
            count = arms[name](epoch)
            if epoch > 0:  # the first starts workers and fills file caches
                rates[name].append(count / (time.perf_counter() - begun))
    return rates


def against(name: str, rates: dict[str, list[float]]) -> dict[str, float] | None:
    """striate : this arm, with as many workers, round by round; None for striate itself."""
    if name.startswith("striate"):
        return None
    mine = rates[f"striate {name.split()[-1]}"]
    return summary([a / b for a, b in zip(mine, rates[name], strict=True)], digits=2)


def copy_bandwidth() -> float:
    """GB/s that are read and written when one thread copies 256 MiB; the median of nine."""
    source, target = np.ones(256 << 20, np.uint8), np.empty(256 << 20, np.uint8)
    np.copyto(target, source)
    seconds = []
    for _ in range(9):
        begun = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - begun)
    return 2 * source.nbytes / statistics.median(seconds) / 1e9


def resnet20_images_per_second() -> float:
    """Of a training step on 2 threads; the median of seven."""
    torch.set_num_threads(2)
    net = create_model("resnet20", num_classes=10).train()
    images, labels = torch.randn(128, 3, 32, 32), torch.arange(128) % 10
    seconds = []
    for _ in range(9):
        begun = time.perf_counter()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        net.zero_grad()
        seconds.append(time.perf_counter() - begun)
    torch.set_num_threads(1)
    return 128 / statistics.median(seconds[2:])


# -------------------------------------------------------------------------------------------------------------- peers


def normalised(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [h, w, 3] → float32 [3, h, w], as ToTensor and Normalize do it."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).contiguous().float().div_(255)
    return values.sub_(torch.tensor(MEAN).view(-1, 1, 1)).div_(torch.tensor(STD).view(-1, 1, 1))


def random_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height, width by the law of torchvision's RandomResizedCrop."""
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1.0)
        aspect = float(np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3))))
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


class PillowFiles(Dataset[tuple[torch.Tensor, int]]):
    """What a user of DataLoader and torchvision's Pillow transforms has."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        image = Image.open(BytesIO(self.paths[i].read_bytes())).convert("RGB")
        top, left, h, w = random_box(image.height, image.width)
        image = image.crop((left, top, left + w, top + h)).resize((CROP, CROP), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return normalised(np.array(image)), i % 2


class AlbumentationsFiles(Dataset[tuple[torch.Tensor, int]]):
    """albumentations' own recipe: OpenCV decodes, Compose does the rest."""

    def __init__(self, paths: list[Path]) -> None:
        import albumentations
        from albumentations.pytorch import ToTensorV2

        self.paths = paths
        self.transform = albumentations.Compose(
            [
                albumentations.RandomResizedCrop(size=(CROP, CROP)),
                albumentations.HorizontalFlip(),
                albumentations.Normalize(MEAN, STD),
                ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        import cv2

        cv2.setNumThreads(0)  # one thread a worker, as on the other sides
        data = np.frombuffer(self.paths[i].read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        return self.transform(image=image)["image"], i % 2


class MappedCrops(Dataset[tuple[torch.Tensor, int]]):
    """Slices of a NumPy memmap."""

    def __init__(self, path: Path) -> None:
        self.images = np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        top, left = (random.randint(0, PACKED_SIDE - CROP) for _ in range(2))
        crop = self.images[i, top : top + CROP, left : left + CROP]
        return normalised(crop[:, ::-1] if random.random() < 0.5 else crop), i % 2


class CifarPerSample(Dataset[tuple[torch.Tensor, int]]):
    """Pad, crop, mirror, cut out, normalise, one image after another."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        padded = np.pad(self.images[i], ((4, 4), (4, 4), (0, 0)))
        top, left = random.randint(0, 8), random.randint(0, 8)
        crop = padded[top : top + 32, left : left + 32]
        image = normalised(crop[:, ::-1] if random.random() < 0.5 else crop)
        row, column = random.randint(0, 31), random.randint(0, 31)
        image[:, max(0, row - 4) : row + 4, max(0, column - 4) : column + 4] = 0
        return image, i % 10


# ------------------------------------------------------------------------------------------------------------ report


def table(figures: dict[str, Any], ratios: dict[str, Any]) -> str:
    """A row an arm, in Markdown."""
    lines = ["| loader | threads or workers | images/s, median (min–max) | striate : it |", "|---|---|---|---|"]
    for name, row in figures.items():
        loader, workers = name.rsplit(" ", 1)
        ratio = spread(ratios[name], 2) if name in ratios else ""
        lines.append(f"| {loader} | {workers} | {spread(row, 0)} | {ratio} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
