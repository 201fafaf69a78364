"""The sets that are known by name: where they may lie already, and where they are downloaded from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from striate.cache import cache_folder
from striate.data.cifar import Form, form_of, read_cifar
from striate.data.classnames import DIGITS, FASHION
from striate.data.mnist import FILES, missing, read_mnist
from striate.data.samples import ArraySamples
from striate.download import Remote, fetch
from striate.errors import StriateError

__all__ = ["NAMED", "Named", "default_data_dir", "find", "held_by", "read"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Named:
    """A set of images in memory that brings a training and a test part."""

    name: str
    folders: tuple[
        str, ...
    ]  # where under the data directory it may lie: ours, then torchvision's and the archives' own
    remotes: dict[str, Remote]  # file name → where it comes from
    classes: tuple[str, ...] = ()
    mirror: bool = True


# LeCun's page states the sizes and no checksum; PyTorch, who keep the mirror that is asked first, state the MD5s.
_MNIST_STATED_AT = "pytorch/vision, torchvision/datasets/mnist.py (sizes: yann.lecun.com/exdb/mnist)"
_MNIST_HOSTS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://yann.lecun.com/exdb/mnist/",  # the publisher's own, which has long refused most requests
)
_MNIST_STATED = {
    "train-images-idx3-ubyte.gz": (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    "train-labels-idx1-ubyte.gz": (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
    "t10k-images-idx3-ubyte.gz": (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
    "t10k-labels-idx1-ubyte.gz": (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
}
# The table "Get the Data" of the publisher's README.
_FASHION_STATED_AT = "zalandoresearch/fashion-mnist, README.md"
_FASHION_HOST = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_STATED = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
# The publisher's page states the MD5 of each archive.
_CIFAR_STATED_AT = "www.cs.toronto.edu/~kriz/cifar.html"
_CIFAR_HOST = "https://www.cs.toronto.edu/~kriz/"

NAMED = {
    "mnist": Named(
        name="mnist",
        folders=("mnist", "MNIST/raw", "MNIST"),
        remotes={
            file: Remote(
                urls=tuple(host + file for host in _MNIST_HOSTS), size=size, md5=md5, stated_at=_MNIST_STATED_AT
            )
            for file, (size, md5) in _MNIST_STATED.items()
        },
        classes=DIGITS,
        mirror=False,
    ),
    "fashion-mnist": Named(
        name="fashion-mnist",
        folders=("fashion-mnist", "FashionMNIST/raw", "FashionMNIST", "fashion"),
        remotes={
            file: Remote(urls=(_FASHION_HOST + file,), md5=md5, stated_at=_FASHION_STATED_AT)
            for file, md5 in _FASHION_STATED.items()
        },
        classes=FASHION,
    ),
    "cifar10": Named(
        name="cifar10",
        folders=("cifar10", "cifar-10-batches-bin", "cifar-10-batches-py"),
        remotes={
            "cifar-10-binary.tar.gz": Remote(
                urls=(_CIFAR_HOST + "cifar-10-binary.tar.gz",),
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                stated_at=_CIFAR_STATED_AT,
            )
        },
    ),
    "cifar100": Named(
        name="cifar100",
        folders=("cifar100", "cifar-100-binary", "cifar-100-python"),
        remotes={
            "cifar-100-binary.tar.gz": Remote(
                urls=(_CIFAR_HOST + "cifar-100-binary.tar.gz",),
                md5="03b5dce01913d631647c71ecec9e9cb8",
                stated_at=_CIFAR_STATED_AT,
            )
        },
    ),
}
_CIFAR_ARCHIVES = {"cifar10": "cifar-10-{}.tar.gz", "cifar100": "cifar-100-{}.tar.gz"}


def default_data_dir() -> Path:
    """`STRIATE_DATA_DIR`, else `striate/data` in the user's cache folder."""
    return cache_folder("data", "STRIATE_DATA_DIR", option="--data-dir")


def find(name: str, data_dir: Path, *, download: bool, progress: Progress | None = None) -> Path:
    """Where the set `name` lies under `data_dir`: a folder or an archive, downloaded if it is nowhere.

    Raises StriateError when it is not there and may not be, or cannot be, downloaded.
    """
    named = NAMED[name]
    places = [data_dir / folder for folder in named.folders]
    if data_dir.name.lower() in {folder.lower() for folder in named.folders}:
        places.append(data_dir)
    for place in places:
        found = _lies_in(place, name)
        if found is not None:
            return found
    for archive in _archives(name):
        if (data_dir / archive).is_file():
            return data_dir / archive
    home = data_dir / named.folders[0]
    if not download:
        wanted = " and ".join(named.remotes)
        raise StriateError(f"{name} is not in {data_dir} and may not be downloaded; put {wanted} into {home}")
    fetched = [
        fetch(remote, home / file, moved_by="--data-dir", progress=progress) for file, remote in named.remotes.items()
    ]
    return home if len(fetched) > 1 else fetched[0]


def held_by(path: Path) -> Named | Form | None:
    """Which of the named sets' formats a folder or an archive holds, if any; MNIST's kin are told by their folder."""
    if path.is_dir() and len(missing(path)) < len(FILES):
        folder = path.resolve()
        told_by = folder.parent.name if folder.name == "raw" else folder.name  # torchvision's FashionMNIST/raw
        return NAMED["fashion-mnist" if "fashion" in told_by.lower() else "mnist"]
    return form_of(path)


def read(path: Path, held: Named | Form) -> tuple[ArraySamples, ArraySamples, tuple[str, ...]]:
    """(train, test, classes) of what `held_by` or `find` has found at `path`."""
    if isinstance(held, Form):
        return (*read_cifar(path, held), held.classes)
    return read_mnist(path, held.name, held.classes)


def _lies_in(place: Path, name: str) -> Path | None:
    if not place.is_dir():
        return None
    if name in ("mnist", "fashion-mnist"):
        return None if missing(place) else place  # a download that broke off goes on
    archives = [place / archive for archive in _archives(name)]
    unpacked = [place, *(child for child in sorted(place.iterdir()) if child.is_dir())]
    for candidate in [*unpacked, *(archive for archive in archives if archive.is_file())]:
        form = form_of(candidate)
        if form is not None and form.name == name:
            return candidate
    holds_images = any((place / part).is_dir() for part in ("train", "test"))
    return place if holds_images else next(iter(sorted(place.glob("*.zip"))), None)


def _archives(name: str) -> list[str]:
    pattern = _CIFAR_ARCHIVES.get(name)
    return [] if pattern is None else [pattern.format("binary"), pattern.format("python")]
