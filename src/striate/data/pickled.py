"""Reading the dictionaries of CIFAR's Python version without running a pickle.

A pickle is a program: it may call anything that it can name (Python documentation, "pickle", first warning). The
CIFAR files name three things, all of NumPy: how to make an empty array, its class, its dtype. Here every name is
looked up in a table of three stand-ins that merely write down what they are given, and any other is refused; so
nothing of NumPy is called either, and the array is rebuilt from the written-down shape and bytes by this file.
"""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError

__all__ = ["read_pickled"]


def read_pickled(data: bytes, where: str) -> dict[str, Any]:
    """The dictionary in `data`: strings, bytes, numbers, lists, and arrays as uint8[…]; keys as strings.

    Raises StriateError, naming `where`, for a pickle that asks for anything else, or is none.
    """
    try:
        value = _Reader(io.BytesIO(data), encoding="bytes").load()  # Python 2's strings were bytes
    except _ForbiddenError as error:
        raise StriateError(f"{where} asks to run {error}, as no CIFAR file does; nothing was run, delete it") from error
    except Exception as error:  # a broken pickle may raise anything
        raise StriateError(f"{where} is not a CIFAR file of the Python version ({error}); get it again") from error
    if not isinstance(value, dict):
        raise StriateError(f"{where} holds a {type(value).__name__}, not the dictionary of a CIFAR file; get it again")
    return {_text(key): _plain(item, where) for key, item in value.items()}


class _ForbiddenError(Exception):
    """A pickle asks for a name that no CIFAR file has."""


class _Array:
    """Stands in for numpy.ndarray: keeps the state it is given, (version, shape, dtype, column-major, bytes)."""

    def __init__(self, *given: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Dtype:
    """Stands in for numpy.dtype: keeps its name, such as "u1"."""

    def __init__(self, name: object, *flags: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order, which single bytes do not have."""


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for codecs.encode, by which Python 3 writes bytes in the old protocols."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise _ForbiddenError(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise _ForbiddenError(f"{module}.{name}")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: object) -> Any:
        raise _ForbiddenError("a persistent reference")


def _plain(item: object, where: str) -> Any:
    if isinstance(item, bytes):
        return _text(item)
    if isinstance(item, list):
        return [_text(x) if isinstance(x, bytes) else x for x in item]
    return _array(item.state, where) if isinstance(item, _Array) else item


def _array(state: Any, where: str) -> NDArray[np.uint8]:
    match state:
        case (int(), tuple() as shape, _Dtype(name="u1" | b"u1"), fortran, bytes() as raw):
            if all(isinstance(n, int) and n >= 0 for n in shape) and math.prod(shape) == len(raw):
                return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")
    raise StriateError(f"{where} holds an array that is not one of plain bytes, as CIFAR's are; get it again")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
