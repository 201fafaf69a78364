"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): binary or Python version, in a folder or in the tar.gz as published.

    binary   one label byte (CIFAR-100: a coarse and a fine one), then 3,072 bytes: red, green and blue plane, by rows
    Python   a pickled dictionary with `data`, uint8[n, 3072] in the same order, and `labels` or `fine_labels`

(https://www.cs.toronto.edu/~kriz/cifar.html.) Nothing is unpacked onto the disk, and the pickles are not run
(`striate.data.pickled`). CIFAR-100 is read with its 100 fine labels.
"""

import contextlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from striate.data.classnames import CIFAR10, CIFAR100
from striate.data.pickled import read_pickled
from striate.data.samples import ArraySamples
from striate.errors import StriateError

__all__ = ["Form", "form_of", "read_cifar"]

PIXELS = 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class Form:
    """One of the four ways CIFAR is published: file names, and how many label bytes precede a binary image."""

    name: str
    train: tuple[str, ...]
    test: str
    classes: tuple[str, ...]
    label_bytes: int  # the last of them is the label; 0: the Python version
    labels_key: str = ""
    mirror: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test)


_FORMS = (
    Form(
        name="cifar10",
        train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test="test_batch.bin",
        classes=CIFAR10,
        label_bytes=1,
    ),
    Form(
        name="cifar10",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test="test_batch",
        classes=CIFAR10,
        label_bytes=0,
        labels_key="labels",
    ),
    Form(name="cifar100", train=("train.bin",), test="test.bin", classes=CIFAR100, label_bytes=2),
    Form(name="cifar100", train=("train",), test="test", classes=CIFAR100, label_bytes=0, labels_key="fine_labels"),
)


def form_of(path: Path) -> Form | None:
    """Which form of CIFAR a folder or a tar holds; None when it holds none. Raises StriateError for a damaged tar."""
    if path.is_dir():
        try:
            return _form({child.name for child in path.iterdir() if child.is_file()})
        except OSError:
            return None  # opening it as a folder of images says why
    if path.suffix.lower() not in (".tar", ".gz", ".tgz"):
        return None
    with _opened(path) as archive:
        return _form({PurePosixPath(member.name).name for member in archive if member.isfile()})


def read_cifar(path: Path, form: Form) -> tuple[ArraySamples, ArraySamples]:
    """(train, test): images uint8[N, 32, 32, 3] from a folder or a tar that holds `form`.

    Raises StriateError, naming the file and the numbers, when one is damaged.
    """
    held = _folder(path, form.files) if path.is_dir() else _tar(path, form.files)
    batches = {name: _batch(data, form, f"{path}/{name}") for name, data in held.items()}
    return (
        _samples([batches[name] for name in form.train], f"{form.name}/train"),
        _samples([batches[form.test]], f"{form.name}/test"),
    )


def _form(names: set[str]) -> Form | None:
    return next((form for form in _FORMS if names.issuperset(form.files)), None)


def _folder(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    try:
        return {name: (path / name).read_bytes() for name in names}
    except OSError as error:
        raise StriateError(f"cannot read {error.filename}: {error.strerror}") from error


def _tar(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The named members, read in one pass into memory: no path inside the tar ever touches the disk."""
    wanted, held = set(names), {}
    with _opened(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            file = archive.extractfile(member) if member.isfile() and name in wanted else None
            if file is not None:
                held[name] = file.read()
    return held


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as archive:
            yield archive
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise StriateError(f"{path} is a damaged or truncated archive ({error}); delete it and get it again") from error


def _batch(data: bytes, form: Form, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(pixels uint8[n, 3072], labels int64[n]) of one file."""
    read = _binary if form.label_bytes else _python
    pixels, labels = read(data, form, where)
    if len(labels) == 0:
        raise StriateError(f"{where} holds no image; get it again")
    if labels.min() < 0 or labels.max() >= len(form.classes):
        raise StriateError(
            f"{where} has label {labels.max()}, where {form.name} has 0 to {len(form.classes) - 1}; get it again"
        )
    return pixels, labels


def _binary(data: bytes, form: Form, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    record = form.label_bytes + PIXELS
    if len(data) % record:
        raise StriateError(f"{where} holds {len(data)} bytes, not a whole number of {record}-byte images; get it again")
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    return rows[:, form.label_bytes :], rows[:, form.label_bytes - 1].astype(np.int64)


def _python(data: bytes, form: Form, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = read_pickled(data, where)
    pixels, labels = batch.get("data"), batch.get(form.labels_key)
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise StriateError(f"{where} has no `data` of {PIXELS} bytes per image; it is not a CIFAR file, get it again")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(isinstance(x, int) for x in labels):
        raise StriateError(f"{where} has no `{form.labels_key}`, one number per image; it is not a CIFAR file")
    return pixels, np.array(labels, dtype=np.int64)


def _samples(batches: Iterable[tuple[NDArray[np.uint8], NDArray[np.int64]]], name: str) -> ArraySamples:
    pixels, labels = (np.concatenate(column) for column in zip(*batches, strict=True))
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # planes to pixels: [N, 32, 32, 3]
    return ArraySamples(images, labels, [f"{name}/{i:05d}" for i in range(len(images))])
