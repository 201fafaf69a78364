"""Caffe's files into messages: the net as text (`.prototxt`), its weights (`.caffemodel`), its mean (`.binaryproto`).

Nothing is trusted: a file's size is looked at before it is opened, no length that a file claims is ever allocated, and
whatever is wrong is one line with the file and the place.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format  # type: ignore[import-untyped]  # it ships no stubs
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no stubs
from numpy.typing import NDArray

from striate.errors import StriateError
from striate.nets.caffe.messages import message_class
from striate.nets.caffe.text import look_over
from striate.nets.caffe.wire import check_net

__all__ = ["blob", "parse_net", "read_blob", "read_text", "read_weights"]

LARGEST_TEXT = 16 << 20  # bytes; ResNet-152's prototxt has 98 thousand
LARGEST_BINARY = (2 << 30) - 1  # bytes; protobuf's own limit
LARGEST_SIDE = 1 << 31  # of a blob along one axis


def read_text(path: Path) -> str:
    """The text of a prototxt. Raises StriateError when it is not a file, too large, or not text."""
    try:
        text = _read_bytes(path, LARGEST_TEXT, "a prototxt").decode()
    except UnicodeDecodeError as error:
        raise StriateError(f"{path} is not text; give the .prototxt first, then the .caffemodel") from error
    return text


def parse_net(text: str, path: object) -> Any:
    """The NetParameter that a prototxt states; of a solver, the net written inside it. Unknown fields are skipped.

    Raises StriateError, with line and column where there are any, for text that is not one.
    """
    look_over(text, path)
    net = _parse(text, "NetParameter", path)
    if not (net.layer or net.layers):
        net = _net_of_solver(text, path)
    if net.layers and any(layer.HasField("layer") for layer in net.layers):
        raise StriateError(
            f"{path} is of Caffe's oldest format (layers within layers, before 2014); "
            "convert it with Caffe's upgrade_net_proto_text first"
        )
    return net


def read_weights(path: Path) -> Any:
    """The NetParameter of a caffemodel, its blobs with it.

    Raises StriateError for a file that is missing, cut short, damaged or of another kind.
    """
    data = _read_bytes(path, LARGEST_BINARY, "a caffemodel")
    check_net(data, path)
    net = _decode(data, "NetParameter", path)
    if not (net.layer or net.layers):
        raise StriateError(f"{path} holds no layers; is it a caffemodel?")
    return net


def read_blob(path: Path) -> NDArray[np.float32]:
    """The numbers of a `.binaryproto`, in their shape: a mean image. Raises StriateError as `read_weights` does."""
    data = _read_bytes(path, LARGEST_BINARY, "a binaryproto")
    return blob(_decode(data, "BlobProto", path), str(path))


def blob(message: Any, where: str) -> NDArray[np.float32]:
    """A blob's numbers in their shape; old blobs have four sides (num, channels, height, width), new ones any.

    Raises StriateError, beginning with `where`, when the numbers are not as many as the shape says.
    """
    if message.HasField("shape"):
        shape = tuple(message.shape.dim)
    else:
        shape = (message.num, message.channels, message.height, message.width)
    runs, kind = (message.double_data, "<f8") if message.double_data else (message.data, "<f4")
    raw = runs[0] if len(runs) == 1 else b"".join(runs)  # an encoder may cut one run in several
    expected = 1
    for side in shape:
        if not 0 <= side < LARGEST_SIDE:
            raise StriateError(f"{where} has a side of {side}; use another copy")
        expected *= side
    if expected * np.dtype(kind).itemsize != len(raw):
        by = "×".join(map(str, shape)) or "a number"
        held = len(raw) / np.dtype(kind).itemsize
        raise StriateError(f"{where} says {by} and holds {held:,.10g} numbers; use another copy")
    return np.frombuffer(raw, kind).astype(np.float32).reshape(shape)


def _read_bytes(path: Path, largest: int, kind: str) -> bytes:
    """All of a file, after a look at what it is and how large. Raises StriateError."""
    try:
        if not path.is_file():
            raise StriateError(f"{path} is {'a folder' if path.is_dir() else 'not there'}; expected {kind}")
        nbytes = path.stat().st_size
        if nbytes > largest:
            raise StriateError(f"{path} has {nbytes:,} bytes, more than {kind} can have ({largest:,})")
        data = path.read_bytes()
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    if not data:
        raise StriateError(f"{path} is empty; expected {kind}")
    return data


def _parse(text: str, kind: str, path: object) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # what Python has to say of an odd escape in a string
            return text_format.Parse(text, message_class(kind)(), allow_unknown_field=True)
    except (text_format.ParseError, ValueError, OverflowError, DeprecationWarning) as error:
        raise StriateError(f"{path} is not a prototxt: {str(error).splitlines()[0]}") from error


def _net_of_solver(text: str, path: object) -> Any:
    solver = _parse(text, "SolverParameter", path)
    inline = [solver.net_param, solver.train_net_param, *solver.test_net_param]
    for net in inline:
        if net.layer or net.layers:
            return net
    named = solver.net or solver.train_net or next(iter(solver.test_net), "")
    if named:
        raise StriateError(f"{path} says how to train, not what the net is; give the net it names: {named}")
    raise StriateError(f"{path} has no layers; is it the prototxt of a net?")


def _decode(data: bytes, kind: str, path: Path) -> Any:
    try:
        return message_class(kind).FromString(data)
    except (DecodeError, ValueError) as error:
        raise StriateError(f"{path} is damaged or not one of Caffe's files: {error}; use another copy") from error
