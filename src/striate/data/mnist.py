"""MNIST, Fashion-MNIST and whatever else comes as the same four IDX files."""

from pathlib import Path

import numpy as np

from striate.data.idx import read_idx
from striate.data.samples import ArraySamples
from striate.errors import StriateError

__all__ = ["FILES", "missing", "read_mnist"]

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def missing(folder: Path) -> list[str]:
    """Which of the four files do not lie in `folder`, under any of their spellings."""
    return [file for file in FILES if _find(folder, file) is None]


def read_mnist(folder: Path, name: str, classes: tuple[str, ...]) -> tuple[ArraySamples, ArraySamples, tuple[str, ...]]:
    """(train, test, classes): grey images uint8[N, H, W, 1] from the four files in `folder`, gzipped or not.

    `classes` give way to plain numbers where the labels go beyond them. Raises StriateError for a file that is missing
    or wrong, and where images and labels do not match.
    """
    paths = {file: path for file in FILES if (path := _find(folder, file)) is not None}
    if len(paths) < len(FILES):
        lacks = " and ".join(missing(folder))
        raise StriateError(f"{folder} lacks {lacks} (or .gz), of the four files of {name}; add it")
    train = _part(paths[FILES[0]], paths[FILES[1]], f"{name}/train")
    test = _part(paths[FILES[2]], paths[FILES[3]], f"{name}/test")
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = f"{_size(train)} for training and {_size(test)} for testing"
        raise StriateError(f"{folder} has images of {sizes}; they do not belong together, get all four again")
    highest = max(int(train.labels.max()), int(test.labels.max()))
    if highest >= len(classes):
        classes = tuple(str(label) for label in range(highest + 1))
    return train, test, classes


def _part(images: Path, labels: Path, name: str) -> ArraySamples:
    pixels, targets = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(targets):
        raise StriateError(f"{images} has {len(pixels)} images and {labels.name} {len(targets)} labels; get both again")
    if pixels.size == 0:
        raise StriateError(f"{images} holds no image ({'×'.join(map(str, pixels.shape))}); get it again")
    names = [f"{name}/{i:05d}" for i in range(len(pixels))]
    return ArraySamples(pixels[:, :, :, None], targets.astype(np.int64), names)


def _find(folder: Path, file: str) -> Path | None:
    """`train-images-idx3-ubyte`, also spelt `train-images.idx3-ubyte`, each gzipped or not."""
    dotted = file.replace("-idx", ".idx")
    candidates = (folder / f"{spelling}{suffix}" for spelling in (file, dotted) for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _size(samples: ArraySamples) -> str:
    return "×".join(str(size) for size in samples.images.shape[1:3])
