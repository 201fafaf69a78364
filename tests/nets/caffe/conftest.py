"""Caffemodels that Caffe did not write: random numbers of the right shapes, for any prototxt."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from striate.nets.caffe.convert import convert
from striate.nets.caffe.messages import message_class
from striate.nets.caffe.operations import BatchNorm, InnerProduct

Blobs = dict[str, list[NDArray[np.float32]]]


def random_blobs(net: Any, rng: np.random.Generator) -> Blobs:
    """Blobs as Caffe would hold them for a converted net, scaled so that no activation explodes."""
    found: Blobs = {}
    for call in net.calls:
        module = net.layers.get_submodule(call.key)
        shapes = [tuple(tensor.shape) for tensor in module.state_dict().values()]
        if isinstance(module, BatchNorm):
            (shape, _), factor = shapes, np.float32(3.5)
            spread = rng.uniform(0.5, 2, shape).astype(np.float32)
            found[call.layer.name] = [rng.normal(size=shape).astype(np.float32), spread * factor, factor.reshape(1)]
        elif shapes:
            blobs = []
            for shape in shapes:
                scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.3
                numbers = rng.normal(0 if len(shape) > 1 else 0.5, scale, shape).astype(np.float32)
                turned = isinstance(module, InnerProduct) and module.transpose and len(shape) == 2
                blobs.append(numbers.T if turned else numbers)
            found[call.layer.name] = blobs
    return found


def caffemodel(blobs: Blobs, *, old: bool = False) -> bytes:
    """A file with these blobs, in the new format or in the old."""
    net = message_class("NetParameter")()
    (net.layers if old else net.layer).add(name="data")  # Caffe writes every layer, those without numbers too
    for name, arrays in blobs.items():
        layer = (net.layers if old else net.layer).add(name=name)
        for array in arrays:
            blob = layer.blobs.add(data=[array.astype("<f4").tobytes()])
            if old:
                sides = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sides
            else:
                blob.shape.dim.extend(array.shape)
    return bytes(net.SerializeToString())


@pytest.fixture
def model_of(tmp_path: Any) -> Callable[..., Any]:
    """model_of(prototxt text): (path of the prototxt, path of a caffemodel with random numbers, its blobs)."""

    def make(text: str, *, old: bool = False, **settings: Any) -> Any:
        prototxt, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
        prototxt.write_text(text)
        blobs = random_blobs(convert(prototxt, **settings).net, np.random.default_rng(7))
        weights.write_bytes(caffemodel(blobs, old=old))
        return prototxt, weights, blobs

    return make


@pytest.fixture
def write_caffemodel(tmp_path: Any) -> Callable[[Blobs], Any]:
    """write_caffemodel(blobs): the path of a file that holds them."""

    def write(blobs: Blobs) -> Any:
        path = tmp_path / "written.caffemodel"
        path.write_bytes(caffemodel(blobs))
        return path

    return write
