"""Where images come from: folders, zips, lists and named sets, read by threads.

`open(spec)` is the one way in. Names are loaded when first used, so that reading a folder does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from striate.data.badimage import BadImage
    from striate.data.batches import Batch
    from striate.data.check import Problem, scan
    from striate.data.dataset import Dataset, class_counts
    from striate.data.decoding import decode
    from striate.data.loader import Loader
    from striate.data.opener import open
    from striate.data.pca import fit_pca
    from striate.data.preprocess import Preprocess
    from striate.data.samples import ArraySamples, FileSamples, Samples

__all__ = [
    "ArraySamples",
    "BadImage",
    "Batch",
    "Dataset",
    "FileSamples",
    "Loader",
    "Preprocess",
    "Problem",
    "Samples",
    "class_counts",
    "decode",
    "fit_pca",
    "open",
    "scan",
]

_HOME = {
    "ArraySamples": "samples",
    "BadImage": "badimage",
    "Batch": "batches",
    "Dataset": "dataset",
    "FileSamples": "samples",
    "Loader": "loader",
    "Preprocess": "preprocess",
    "Problem": "check",
    "Samples": "samples",
    "class_counts": "dataset",
    "decode": "decoding",
    "fit_pca": "pca",
    "open": "opener",
    "scan": "check",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"striate.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'striate.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
