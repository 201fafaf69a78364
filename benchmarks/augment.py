"""One native warp against the pipelines people use: random crops, rotation, colour, PCA colour, a lens.

    python benchmarks/augment.py [--rounds 7] [--rows full simple …] [--output benchmarks/results]

From decoded 500×375 images to normalised float32 224×224 (the lens: to bytes of the same size), on one thread. Timed is
everything a library does with a decoded image: drawing its random numbers, composing, pixels. Ours draws for the batch
with NumPy (`draw_crops`, `turned`, `jittered`, `with_pca` below) and calls `striate._native.warp` once. Every
subject gets the same 16 images; rounds in a new order (striate.bench.timing), processor time, medians and quartiles. A
peer that is not installed is left out (albumentations, opencv-python-headless, kornia are no dependencies of striate).

Before anything is timed, each subject's output is compared in kind: shape, type, and mean brightness over the batch.
"""

import argparse
import importlib
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance

from striate import _native
from striate.bench.facts import machine
from striate.bench.timing import Clock, interleave, ratio, spread

Matrices = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Subjects = dict[str, Callable[[], Any]]

BATCH, HEIGHT, WIDTH, SIDE = 16, 375, 500, 224
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's, as all peers have them
SCALE, SHIFT = (1 / (255 * STD)).astype(np.float32), (-MEAN / STD).astype(np.float32)
ANGLE, SHEAR, JITTER, HUE = 15.0, 10.0, 0.2, 0.05  # degrees, degrees, share, turns
LUMA = np.array([0.299, 0.587, 0.114])
PCA = 0.1 * 55.0 * np.array([[0.57, 0.72, 0.40], [0.58, 0.0, -0.81], [0.58, -0.69, 0.42]])  # σ · axes, in bytes
COMPARED, NEAR_LEVELS = 4, 16  # batches whose mean brightness is compared, and how near it must be
FLOORS = {"full": 3.0, "full + PCA": 12.0, "simple": 1.4, "simple, plain bilinear": 2.0, "lens": 4.0}  # issue 5


# What is drawn


def product(a: Matrices, b: Matrices) -> Matrices:
    return np.matmul(a, b)


def draw_crops(rng: np.random.Generator) -> Matrices:
    """[B, 3, 3]: RandomResizedCrop's law (8 to 100 % of the area, aspect 3/4 to 4/3), half of them mirrored."""
    area = rng.uniform(0.08, 1, (BATCH, 10)) * (HEIGHT * WIDTH)
    aspect = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), (BATCH, 10)))
    width, height = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (width <= WIDTH) & (height <= HEIGHT)
    first = np.arange(BATCH), fits.argmax(1)  # ten tries, as the peers have
    width, height = np.where(fits.any(1), (width[first], height[first]), [[WIDTH], [HEIGHT]])
    left, top = rng.random((2, BATCH)) * np.array((WIDTH - width, HEIGHT - height))
    mirrored = rng.random(BATCH) < 0.5
    crop = np.zeros((BATCH, 3, 3))
    crop[:, 0, 0], crop[:, 1, 1], crop[:, 2, 2] = np.where(mirrored, -width, width) / SIDE, height / SIDE, 1
    crop[:, 0, 2], crop[:, 1, 2] = np.rint(left) + np.where(mirrored, width, 0), np.rint(top)
    return crop


def turned(rng: np.random.Generator, crop: Matrices) -> Matrices:
    """The crop, rotated and sheared about the output's centre."""
    angle, shear = np.radians(rng.uniform(-ANGLE, ANGLE, BATCH)), np.tan(np.radians(rng.uniform(-SHEAR, SHEAR, BATCH)))
    turn = np.zeros((BATCH, 3, 3))
    turn[:, 0, 0], turn[:, 0, 1] = np.cos(angle), shear * np.cos(angle) - np.sin(angle)
    turn[:, 1, 0], turn[:, 1, 1] = np.sin(angle), shear * np.sin(angle) + np.cos(angle)
    turn[:, :2, 2] = SIDE / 2 - turn[:, :2, :2].sum(2) * (SIDE / 2)
    turn[:, 2, 2] = 1
    return product(crop, turn)


def jittered(rng: np.random.Generator) -> Floats:
    """[B, 3, 4]: brightness, contrast about the mean grey, saturation, and a rotation of the hue."""
    bright, contrast, saturation = rng.uniform(1 - JITTER, 1 + JITTER, (3, BATCH, 1, 1))
    turn = 2 * math.pi * rng.uniform(-HUE, HUE, (BATCH, 1, 1))
    grey = np.full((3, 3), 1 / 3)
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    hue = grey + np.cos(turn) * (np.eye(3) - grey) + np.sin(turn) * axis
    mixed = product(saturation * np.eye(3) + (1 - saturation) * LUMA, hue) * bright * contrast
    shift = np.broadcast_to((1 - contrast) * (LUMA @ MEAN) * 255, (BATCH, 3, 1))
    return np.concatenate([mixed, shift], 2).astype(np.float32)


def with_pca(rng: np.random.Generator, colour: Floats) -> Floats:
    colour[:, :, 3] += rng.normal(size=(BATCH, 3)) @ PCA
    return colour


# Subjects: each turns the images into its batch


def ours(images: list[npt.NDArray[np.uint8]], *, turn: bool, colour: bool, pca: bool, antialias: bool) -> Any:
    rng, black = np.random.default_rng(0), np.zeros(3, np.float32)  # the peers' fill
    out = np.empty((BATCH, 3, SIDE, SIDE), np.float32)

    def run() -> Floats:
        geometry = draw_crops(rng)
        if turn:
            geometry = turned(rng, geometry)
        matrix = jittered(rng) if colour else None
        if matrix is not None and pca:
            matrix = with_pca(rng, matrix)
        _native.warp(
            images, geometry, None, matrix, SCALE, SHIFT, black, out, 1,
            filter="bilinear", antialias=antialias, border="constant",
        )  # fmt: skip
        return out

    return run


def our_lens(images: list[npt.NDArray[np.uint8]], antialias: bool) -> Any:
    rng = np.random.default_rng(0)
    one, nothing = np.ones(3, np.float32), np.zeros(3, np.float32)
    geometry = np.broadcast_to(np.eye(3), (BATCH, 3, 3)).copy()
    out = torch.empty(BATCH, 3, HEIGHT, WIDTH, dtype=torch.uint8).to(memory_format=torch.channels_last)

    def run() -> Any:
        lens = rng.uniform(-0.05, 0.05, (BATCH, 2))
        _native.warp(
            images, geometry, lens, None, one, nothing, nothing, out, 1,
            filter="bilinear", antialias=antialias, border="constant",
        )  # fmt: skip
        return out

    return run


def albumentations(images: list[npt.NDArray[np.uint8]], *, turn: bool, colour: bool, pca: bool, lens: bool) -> Any:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    A = importlib.import_module("albumentations")  # noqa: N806 (as its own documentation calls it)
    importlib.import_module("cv2").setNumThreads(1)
    steps = [] if lens else [A.RandomResizedCrop((SIDE, SIDE)), A.HorizontalFlip()]
    if turn:
        steps.append(A.Affine(rotate=(-ANGLE, ANGLE), shear=(-SHEAR, SHEAR), p=1))
    if colour:
        low, high = 1 - JITTER, 1 + JITTER
        steps.append(A.ColorJitter((low, high), (low, high), (low, high), (-HUE, HUE), p=1))
    if pca:
        steps.append(A.FancyPCA(p=1))
    steps.append(A.OpticalDistortion(p=1) if lens else A.Normalize())
    pipeline = A.Compose(steps)
    return lambda: [pipeline(image=image)["image"] for image in images]


def opencv(images: list[npt.NDArray[np.uint8]], *, turn: bool) -> Any:
    """Our own plan in OpenCV's calls: draws as ours, one warpAffine (never antialiased), one colour transform."""
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    rng, half = np.random.default_rng(0), np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    normal = np.concatenate([np.diag(SCALE), SHIFT[:, None]], 1)

    def run() -> list[Floats]:
        geometry = draw_crops(rng)
        if turn:
            geometry = turned(rng, geometry)
        geometry = product(product(np.linalg.inv(half), geometry), half)  # its pixel centres are whole numbers
        colours = jittered(rng) if turn else None
        batch = []
        for i, image in enumerate(images):
            out = cv2.warpAffine(image, geometry[i, :2], (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            if colours is not None:
                out = cv2.transform(out, colours[i])
            batch.append(cv2.transform(out.astype(np.float32), normal))
        return batch

    return run


def pillow(images: list[npt.NDArray[np.uint8]], *, turn: bool) -> Any:
    rng, pictures = np.random.default_rng(0), [Image.fromarray(image) for image in images]

    def one(picture: Image.Image, crop: Matrices, turn_back: Matrices, factors: Sequence[float]) -> Floats:
        width, left = abs(crop[0, 0]) * SIDE, min(crop[0, 2], crop[0, 2] + crop[0, 0] * SIDE)
        box = (left, crop[1, 2], left + width, crop[1, 2] + crop[1, 1] * SIDE)
        out = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
        if crop[0, 0] < 0:
            out = out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if turn:
            out = out.transform(
                (SIDE, SIDE), Image.Transform.AFFINE, tuple(turn_back[:2].ravel()), Image.Resampling.BILINEAR
            )
            for enhance, factor in zip(
                (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color), factors, strict=True
            ):
                out = enhance(out).enhance(factor)
        return np.asarray(out, np.float32) * SCALE + SHIFT

    def run() -> list[Floats]:
        crops = draw_crops(rng)
        turns = turned(rng, np.broadcast_to(np.eye(3), (BATCH, 3, 3)))
        factors = rng.uniform(1 - JITTER, 1 + JITTER, (BATCH, 3))
        return [one(*arguments) for arguments in zip(pictures, crops, turns, factors, strict=True)]

    return run


def kornia(images: list[npt.NDArray[np.uint8]], *, turn: bool) -> Any:
    K = importlib.import_module("kornia.augmentation")  # noqa: N806 (as its own documentation calls it)
    steps = [K.RandomResizedCrop((SIDE, SIDE)), K.RandomHorizontalFlip()]
    if turn:
        steps += [K.RandomAffine(ANGLE, shear=SHEAR, p=1.0), K.ColorJitter(JITTER, JITTER, JITTER, HUE, p=1.0)]
    pipeline = K.ImageSequential(*steps, K.Normalize(torch.tensor(MEAN).float(), torch.tensor(STD).float()))
    stack = np.stack(images)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return pipeline(torch.from_numpy(stack).permute(0, 3, 1, 2).float().div(255))

    return run


def subjects(row: str, images: list[npt.NDArray[np.uint8]]) -> Subjects:
    """Ours first; peers that are not installed are missing."""
    full, pca = row.startswith("full"), row.endswith("PCA")
    found: Subjects = {}
    if row == "lens":
        found["striate"] = our_lens(images, antialias=True)
        found["striate, plain bilinear"] = our_lens(images, antialias=False)
    else:
        flags = {"turn": full, "colour": full, "pca": pca}
        found["striate"] = ours(images, antialias="plain" not in row, **flags)
    makers: Subjects = {
        "albumentations": lambda: albumentations(images, turn=full, colour=full, pca=pca, lens=row == "lens")
    }
    if row in ("full", "simple"):
        makers |= {
            "OpenCV by hand": lambda: opencv(images, turn=full),
            "Pillow": lambda: pillow(images, turn=full),
            "kornia": lambda: kornia(images, turn=full),
        }
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as missing:
            print(f"{name} is left out: {missing}")
    return found


def compare(row: str, found: Subjects) -> None:
    """Each output is of the one kind: shape, type, and brightness near ours (draws differ)."""
    mine = None
    for name, run in found.items():
        batch = np.concatenate([np.stack([np.asarray(one) for one in run()]) for _ in range(COMPARED)])
        if batch.shape[1] != 3:
            batch = batch.transpose(0, 3, 1, 2)
        mine = batch.copy() if mine is None else mine
        assert batch.shape == mine.shape, (row, name, batch.shape)
        assert batch.dtype == mine.dtype, (row, name, batch.dtype)
        off = abs(batch.astype(np.float64).mean() - mine.mean())
        assert off < (NEAR_LEVELS if row == "lens" else NEAR_LEVELS / (255 * STD.mean())), (row, name, off)


def photographs() -> list[npt.NDArray[np.uint8]]:
    """Soft shapes and a little noise, as photographs have."""
    rng = np.random.default_rng(0)
    soft = [
        _native.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), HEIGHT, WIDTH, "bicubic")
        for _ in range(BATCH)
    ]
    return [np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8) for image in soft]


# The page


def page(results: dict[str, dict[str, list[float]]], rounds: int) -> str:
    lines = [
        "# Noise: one native warp beside the pipelines people use",
        "",
        f"`python benchmarks/augment.py --rounds {rounds}` on {machine(1)}. Processor time per image in µs, one thread,"
        f" batches of {BATCH} decoded {WIDTH}×{HEIGHT} images to {SIDE}² (the lens: to bytes of the same size);"
        f" median [quartiles] of {rounds} interleaved rounds, drawing of the random numbers included. “Slower” is the"
        " median over rounds of a peer's time over ours.",
    ]
    for row, samples in results.items():
        lines += ["", f"## {row}", "", "| subject | µs an image | slower than ours | floor |", "|---|---:|---:|---:|"]
        for name, taken in samples.items():
            cost, slower = spread([1e6 * seconds / BATCH for seconds in taken]), ratio(taken, samples["striate"])
            floor = f"{FLOORS[row]}×" if name == "albumentations" else ""
            times = f"{cost.median:,.0f} [{cost.low:,.0f}, {cost.high:,.0f}]"
            lines.append(f"| {name} | {times} | {slower.median:.2f}× [{slower.low:.2f}, {slower.high:.2f}] | {floor} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", nargs="+", choices=list(FLOORS), default=list(FLOORS))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _native.keep_memory()  # for the peers' temporaries as much as for ours
    images = photographs()
    clock = Clock(now=time.process_time)
    results = {}
    for row in arguments.rows:
        found = subjects(row, images)
        compare(row, found)
        results[row] = interleave(found, arguments.rounds, clock=clock)
    text = page(results, arguments.rounds)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / f"augment-{time.strftime('%Y-%m-%d')}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
