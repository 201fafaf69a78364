"""Features on disk, so that a net looks at an image once: Arrow files, named by all that decides their numbers.

A file's name is the digest of the weights, the images, how they are prepared and looked at, the layer and the pooling:
whatever changes gets a file of its own, and nothing is ever out of date. Inside is a table that any Arrow tool opens,
one row an image: `key`, and `features` as a list of D floats; in its metadata, all of the above and a SHA-256.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
import torch
from numpy.typing import NDArray
from torch import nn

from striate.atomic import replace_file, why_not_written
from striate.cache import cache_folder
from striate.data import Samples
from striate.data.samples import EncodedSamples
from striate.data.shown import as_text
from striate.errors import StriateError
from striate.nets import Net
from striate.train.transfer.features import Way, check_places, extract

__all__ = ["DamagedFeatures", "FeatureCache", "cache_dir", "digest_of_images", "digest_of_net"]

SUFFIX = ".arrow"
KEY = b"striate.features"  # of the schema's metadata
VERSION = 1  # raised when the same name would mean other numbers


class DamagedFeatures(StriateError):
    """A file of features that does not hold what was written into it."""


@final
class FeatureCache:
    """Features of one net in `folder`; `weights` is the digest of what the net weighs.

    `note` is told, in a line, of every file that had to be made anew, and once where none can be written: features are
    then kept in memory, as long as this object.
    """

    def __init__(self, folder: Path, net: Net, *, note: Callable[[str], None] = lambda text: None) -> None:
        self.folder, self._net, self._note = Path(folder), net, note
        self.weights = digest_of_net(net)
        self._unwritten: dict[Path, NDArray[np.float32]] = {}

    def features(
        self, places: Sequence[str], images: Samples, way: Way, **machine: Any
    ) -> dict[str, NDArray[np.float32]]:
        """float32 [N, D] for each place, read where they are there, else extracted (`machine`: see `extract`)."""
        check_places(self._net, places)
        digest = digest_of_images(images)
        about = {place: self._about(place, digest, way) for place in places}
        paths = {place: self.folder / f"{_digest(about[place])[:32]}{SUFFIX}" for place in places}
        found = {place: self._unwritten[path] for place, path in paths.items() if path in self._unwritten}
        for place, path in paths.items():
            if place not in found and os.path.exists(path):  # noqa: PTH110  # pathlib's raises where one may not look
                try:
                    found[place] = read_features(path, about[place], len(images))
                except DamagedFeatures as error:
                    self._note(f"{error}; made anew")
        missing = [place for place in places if place not in found]
        if missing:
            for place, rows in extract(self._net, missing, images, way, **machine).items():
                self._keep(paths[place], about[place], [images.key(i) for i in range(len(images))], rows)
                found[place] = rows
        return found

    def _keep(self, path: Path, about: dict[str, Any], keys: Sequence[str], rows: NDArray[np.float32]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_features(path, about, keys, rows)
        except (OSError, StriateError) as error:
            cause = error.__cause__ if isinstance(error, StriateError) else error
            if not isinstance(cause, OSError):
                raise
            if not self._unwritten:
                why = why_not_written(cause, again="they are kept", elsewhere="--cache")
                self._note(f"features are not kept in {self.folder}, and will be computed again: {why}")
            self._unwritten[path] = rows

    def _about(self, place: str, images: str, way: Way) -> dict[str, Any]:
        return {
            "version": VERSION,
            "net": self._net.spec.name,
            "weights": self.weights,
            "layer": place,
            "images": images,
            "preprocess": way.preprocess.to_dict(),
            "views": [asdict(view) for view in way.views],
            "pool": way.pool,
        }


def write_features(path: Path, about: dict[str, Any], keys: Sequence[str], rows: NDArray[np.float32]) -> None:
    """Write a table of features, whole or not at all."""
    rows = np.ascontiguousarray(rows, np.float32)
    values = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    stated = {**about, "sha256": hashlib.sha256(rows.tobytes()).hexdigest()}
    schema = pa.schema(
        [pa.field("key", pa.string()), pa.field("features", values.type)], metadata={KEY: json.dumps(stated)}
    )
    table = pa.Table.from_arrays([pa.array([as_text(key) for key in keys], pa.string()), values], schema=schema)
    with replace_file(path) as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(table)


def read_features(path: Path, about: dict[str, Any], count: int) -> NDArray[np.float32]:
    """float32 [N, D]. Raises DamagedFeatures where the file is cut short, changed, or speaks of something else."""
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            table = reader.read_all()
            stated = json.loads((reader.schema.metadata or {})[KEY])
        column = table.column("features").combine_chunks()
        width = column.type.list_size
        rows = np.asarray(column.flatten(), np.float32).reshape(-1, width).copy()
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedFeatures(f"{path} is damaged ({reason})") from error
    kept = stated.pop("sha256", "")
    if stated != json.loads(json.dumps(about)) or len(rows) != count:
        raise DamagedFeatures(f"{path} holds the features of something else than its name says")
    if hashlib.sha256(rows.tobytes()).hexdigest() != kept:
        raise DamagedFeatures(f"{path} is damaged: it does not hold what was written in it")
    return rows


def cache_dir() -> Path:
    """`striate/features` in the user's cache folder."""
    return cache_folder("features", option="--cache")


def digest_of_net(net: nn.Module) -> str:
    """SHA-256 over every tensor of the net: name, type, shape, numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_of_images(images: Samples) -> str:
    """SHA-256 over the images in their order, as they lie on the disk where they do; labels do not count."""
    digest = hashlib.sha256()
    for i in range(len(images)):
        digest.update(hashlib.blake2b(_content(images, i), digest_size=16).digest())
    return digest.hexdigest()


def _content(images: Samples, i: int) -> bytes:
    if isinstance(images, EncodedSamples):
        return images.read(i)
    pixels = images.pixels(i, 3)
    return f"{pixels.shape}".encode() + pixels.tobytes()


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
