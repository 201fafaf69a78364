"""Whether anything grows: resident memory, open files and threads over fifty epochs of each way to read, and of a run.

    python benchmarks/flat.py [DATA] [--epochs 50] [--images 300] [--kinds files …] [--json] [--output DIR]

Each kind is a process of its own, measured after every epoch. Without DATA, `--images` JPEG photographs of 320×240 px
are made up first. The target: from the twentieth epoch on, memory grows by less than 1 %, files and threads stay the
same; after it, nothing in /dev/shm that was not there before.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from PIL import Image

SIDE = 96  # px of the output
SETTLED = 20  # epochs until caches are full and threads' heaps have grown
# A free block of a batch's size otherwise stays in some thread's heap, or does not: 3 MB to and fro, measured.
BLOCKS_GO_BACK = {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}  # bytes: what glibc begins with, and raises at each free

Row = tuple[int, int, int]  # resident bytes, open files, threads

_libc = ctypes.CDLL(None)


def row() -> Row:
    """As it is now. What malloc keeps of small blocks for the next batch, now more, now less, is given back first."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
    process = psutil.Process()
    return process.memory_info().rss, process.num_fds(), process.num_threads()


# ------------------------------------------------------------------------------------- kinds, each in its own process


def loaded(kind: str, folder: Path, epochs: int, scratch: Path) -> Iterator[Row]:
    """Epochs of a loader."""
    from striate import data
    from striate.augment import Affine, ColorJitter, HorizontalFlip, PadCrop, Policy, RandomErasing, RandomResizedCrop
    from striate.data.pack.size import PackSize
    from striate.data.pack.writer import write_pack

    windows = Policy((PadCrop(8), HorizontalFlip()))
    maps = Policy((RandomResizedCrop(), HorizontalFlip(), Affine((-9.0, 9.0)), ColorJitter(0.4), RandomErasing(0.5)))
    opened = data.open(folder)
    if kind.startswith("pack"):
        size = PackSize.parse(str(SIDE)) if kind == "pack of pixels" else None
        write_pack(opened, scratch / "a.arrow", size=size)
        opened = data.open(scratch / "a.arrow")
    samples: data.Samples = opened.train
    preprocess = data.Preprocess.fit(samples, 3, (SIDE, SIDE))
    if kind in ("memory", "device"):
        images = np.stack([preprocess.base(samples.pixels(i, 3))[:SIDE, :SIDE] for i in range(len(samples))])
        samples = data.ArraySamples(images, samples.labels)
    loader = data.Loader(
        samples,
        preprocess,
        batch_size=32,
        shuffle=True,
        policy=windows if kind == "files, kept" else maps,
        cache_nbytes=None if kind in ("files, kept", "device") else 0,
        device="cpu" if kind == "device" else None,
    )
    for epoch in range(epochs):
        for _ in loader.epoch(epoch):
            pass
        gc.collect()
        yield row()


def trained(folder: Path, epochs: int, scratch: Path) -> list[Row]:
    """Epochs of a run: loading, steps, validation, checkpoints, log."""
    from striate.train import settings_from, start
    from striate.train.progress import Silent
    from striate.train.report.record import EpochRow

    class Noting(Silent):
        def __init__(self) -> None:
            self.rows: list[Row] = []

        def epoch(self, row_: EpochRow, best: bool) -> None:
            self.rows.append(row())

    noting = Noting()
    settings = {"data": str(folder), "model": "mlp", "model_settings": {"hidden": [32]}, "size": SIDE, "lr": 1e-3}
    start(settings_from({**settings, "policy": "strong", "epochs": epochs, "output": str(scratch)}), noting)
    return noting.rows


KINDS: dict[str, Callable[[Path, int, Path], list[Row]]] = {
    kind: lambda folder, epochs, scratch, kind=kind: list(loaded(kind, folder, epochs, scratch))
    for kind in ("files", "files, kept", "pack of files", "pack of pixels", "memory", "device")
} | {"run": trained}


# ------------------------------------------------------------------------------------------------------ the whole


def photographs(folder: Path, count: int) -> None:
    """Soft shapes of two classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        where = folder / ("ants", "bees")[i % 2]
        where.mkdir(exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        small.resize((320, 240), Image.Resampling.BICUBIC).save(where / f"{i:05d}.jpg", quality=90)


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {child.name for child in folder.iterdir()} if folder.is_dir() else set()


def measured(kind: str, folder: Path, epochs: int) -> list[Row]:
    """The rows of a process of its own."""
    command = [sys.executable, __file__, str(folder), "--epochs", str(epochs), "--one", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | BLOCKS_GO_BACK)
    if done.returncode:
        sys.exit(done.stderr)
    return [tuple(values) for values in json.loads(done.stdout.splitlines()[-1])]


def growth(nbytes: list[int]) -> float:
    """The median of the last ten over that of the first ten, less one."""
    return median(nbytes[-10:]) / median(nbytes[:10]) - 1


def page(results: dict[str, list[Row]], images: str, command: str, left: set[str]) -> str:
    from striate.bench.facts import machine

    epochs = len(next(iter(results.values())))
    shown = sorted({n for n in (1, 2, 5, 10, SETTLED, 30, 40, epochs) if n <= epochs})
    lines = [
        "# Nothing grows: memory, files and threads over epochs",
        "",
        f"`{command}` on {machine(2)}. {images}, each kind in a process of its own, two loading threads. Resident"
        f" memory in MB after the given epoch; its growth from the ten epochs after epoch {SETTLED} to the last ten"
        " (medians: what is being decoded when an epoch ends differs); and how many files and threads were open.",
        "",
        "| kind | " + " | ".join(map(str, shown)) + " | growth | files | threads |",
        "|---|" + "---:|" * (len(shown) + 3),
    ]
    for kind, rows in results.items():
        settled = rows[min(SETTLED, epochs - 1) :]
        grown = growth([nbytes for nbytes, _, _ in settled])
        counts = [sorted({each[k] for each in settled}) for k in (1, 2)]
        cells = [f"{rows[n - 1][0] / 1e6:,.1f}" for n in shown]
        cells += [f"{grown:+.2%}", *(", ".join(map(str, count)) for count in counts)]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    lines += ["", f"In /dev/shm afterwards and not before: {', '.join(sorted(left)) or 'nothing'}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--json", action="store_true", help="print the rows only")
    parser.add_argument("--one", choices=list(KINDS), help=argparse.SUPPRESS)  # what this process is to measure
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data
        if folder is None:
            folder = Path(scratch) / "photographs"
            folder.mkdir()
            photographs(folder, arguments.images)
        if arguments.one is not None:
            print(json.dumps(KINDS[arguments.one](folder, arguments.epochs, Path(scratch))))
            return
        before = shared_memory()
        results = {kind: measured(kind, folder, arguments.epochs) for kind in arguments.kinds}
    if arguments.json:
        print(json.dumps(results))
        return
    images = (
        f"{arguments.images} JPEG photographs of 320×240 px" if arguments.data is None else f"{arguments.data.name}"
    )
    command = f"python benchmarks/flat.py{'' if arguments.data is None else ' DATA'} --epochs {arguments.epochs}"
    text = page(results, images, command, shared_memory() - before)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / f"flat-{time.strftime('%Y-%m-%d')}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
