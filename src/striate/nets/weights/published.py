"""Weights that torchvision publishes for nets of our zoo: names, addresses, preprocessing.

A name ends in the first eight digits of the file's SHA-256, which is all that the publisher states of it. They are
checked; the whole digest is recorded when a file first arrives, and every later download is held to that.

How good they are is in `nets/accuracies.csv`. GoogLeNet's and Inception's files were trained on values of −1…1;
torchvision turns its usual normalisation into that inside the net (`transform_input`), here it is the preprocessing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.cache import cache_folder
from striate.download import Patience, Remote, fetch
from striate.download.remote import differs
from striate.errors import StriateError

__all__ = ["PUBLISHED", "Published", "find", "offline_asked", "weights_dir"]

ADDRESS = "https://download.pytorch.org/models/{}.pth"
SOURCE = "https://docs.pytorch.org/vision/stable/models.html"
WEIGHTS_DIR = "STRIATE_WEIGHTS_DIR"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of each channel
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file: its `name` without ending, and how its images were prepared."""

    net: str
    name: str
    crop: int = 224  # px
    resize: int = 256  # px, of the short side
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    classes: int = 1000
    source: str = SOURCE

    @property
    def preprocess(self) -> Mapping[str, Any]:
        """As a model card states it; read by `striate.data.Preprocess`."""
        mean, deviation = self.normalisation
        return {
            "channels": 3,
            "size": [self.crop, self.crop],
            "resize": "crop",
            "resize_size": [self.resize, self.resize],
            "filter": "bilinear",
            "mean": list(mean),
            "std": list(deviation),
        }

    @property
    def remote(self) -> Remote:
        """Where the file is, and what is known of it."""
        return Remote(
            urls=(ADDRESS.format(self.name),), sha256_prefix=self.name.rsplit("-", 1)[1], stated_at="its own name"
        )


def _table(*rows: tuple[Any, ...]) -> dict[str, tuple[Published, ...]]:
    """Rows of (net, file, other settings) by net; the first row of a net is its default."""
    found: dict[str, tuple[Published, ...]] = {}
    for net, name, *more in rows:
        settings = more[0] if more else {}
        found[net] = (*found.get(net, ()), Published(net=net, name=name, **settings))
    return found


PUBLISHED = _table(
    ("alexnet", "alexnet-owt-7be5be79"),
    ("vgg11", "vgg11-8a719046"),
    ("vgg13", "vgg13-19584684"),
    ("vgg16", "vgg16-397923af"),
    ("vgg19", "vgg19-dcbb9e9d"),
    ("vgg11_bn", "vgg11_bn-6002323d"),
    ("vgg13_bn", "vgg13_bn-abd245e5"),
    ("vgg16_bn", "vgg16_bn-6c64b313"),
    ("vgg19_bn", "vgg19_bn-c79401a0"),
    ("resnet18", "resnet18-f37072fd"),
    ("resnet34", "resnet34-b627a593"),
    ("resnet50", "resnet50-0676ba61"),
    ("resnet50", "resnet50-11ad3fa6", {"resize": 232}),  # trained anew with a longer recipe
    ("resnet101", "resnet101-63fe2227"),
    ("resnet152", "resnet152-394f9c45"),
    ("wide_resnet50_2", "wide_resnet50_2-95faca4d"),
    ("wide_resnet101_2", "wide_resnet101_2-32ee1156"),
    ("squeezenet1_0", "squeezenet1_0-b66bff10"),
    ("squeezenet1_1", "squeezenet1_1-b8a52dc0"),
    ("densenet121", "densenet121-a639ec97"),
    ("densenet161", "densenet161-8d451a50"),
    ("densenet169", "densenet169-b2777c0a"),
    ("densenet201", "densenet201-c1103571"),
    ("googlenet", "googlenet-1378be20", {"normalisation": HALF}),
    (
        "inception_v3",
        "inception_v3_google-0cc3c7bd",
        {"crop": 299, "resize": 342, "normalisation": HALF},
    ),
)


def find(
    published: Published, folder: Path | None = None, *, offline: bool = False, patience: Patience | None = None
) -> Path:
    """The file, downloaded into `folder` (by default `weights_dir()`) unless it lies there.

    A file that somebody put there by hand is checked as a download is. Raises StriateError when it is not there and
    `offline` forbids fetching it, cannot be fetched, or is not what its name says.
    """
    path = (folder or weights_dir()) / f"{published.name}.pth"
    remote = published.remote
    if not path.exists():
        if offline or offline_asked():
            raise StriateError(
                f"{path.name} is not in {path.parent} and this is offline; "
                f"fetch {remote.urls[0]} elsewhere and put it there"
            )
        return fetch(remote, path, moved_by=WEIGHTS_DIR, patience=patience)
    if not path.with_name(path.name + ".seen.json").exists():
        wrong = differs(path, remote, path, "put there by hand")
        if wrong:
            raise StriateError(f"{path} is not what its name says: {wrong.split(';')[0]}; remove it and run again")
    return path


def weights_dir() -> Path:
    """`STRIATE_WEIGHTS_DIR`, else `striate/weights` in the user's cache folder."""
    return cache_folder("weights", WEIGHTS_DIR)


def offline_asked() -> bool:
    """Whether `STRIATE_OFFLINE` is set to anything but nothing, 0 or false."""
    return os.environ.get("STRIATE_OFFLINE", "").lower() not in ("", "0", "false", "no")
