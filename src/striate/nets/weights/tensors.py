"""Tensors out of a safetensors file, and whether they are a net's; or one line that says why not.

The header is read here first (8 bytes of length, JSON, then the data: the format's documentation), because a file that
was cut short or never was one deserves a better answer than a parser's.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from striate.errors import StriateError

__all__ = ["TensorFile", "mismatches", "not_finite", "of_another_kind", "read", "read_metadata"]

LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
OPTIONAL = "num_batches_tracked"  # batch norms did not count before torch 0.4.1, and torch itself fills it in
LISTED = 4  # mismatches named in a message; the rest are counted


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """The tensors of a file by name, and its metadata."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read(path: Path) -> TensorFile:
    """Read a safetensors file into memory (not mapped: a file that shrinks under a map kills the process).

    Raises StriateError for a file that is missing, cut short, damaged or of another kind.
    """
    metadata = read_metadata(path)
    try:
        return TensorFile(tensors=safetensors.torch.load(path.read_bytes()), metadata=metadata)
    except (SafetensorError, ValueError, KeyError) as error:
        raise StriateError(f"{path} is damaged: {str(error).splitlines()[0]}; use another copy") from error
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, after checking that the file is one and is whole. Raises as `read` does."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            text = file.read(min(length, LARGEST_HEADER))
            nbytes = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    if len(start) < 8 or length > LARGEST_HEADER or text[:1] not in (b"{", b""):
        if start[:2] == b"PK" or start[:1] == b"\x80":  # a zip, a pickle
            raise StriateError(f"{path} was written by torch.save, which can hide code; convert it to safetensors")
        raise StriateError(f"{path} is not a safetensors file")
    if len(text) < length:
        raise StriateError(f"{path} is cut short: {nbytes} bytes of at least {8 + length}; use another copy")
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", {})
        whole = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:  # nested too deep
        raise StriateError(f"{path} is damaged: its header cannot be read; use another copy") from error
    if nbytes < whole:
        raise StriateError(f"{path} is cut short: {nbytes} bytes of {whole}; use another copy")
    return {str(key): str(value) for key, value in metadata.items()}


def mismatches(net: nn.Module, tensors: dict[str, Tensor]) -> str:
    """Names and shapes in which `tensors` differ from what `net` holds, in one line; empty when they are equal."""
    state = net.state_dict()
    wrong = [f"{name} is missing" for name in state if name not in tensors and not name.endswith(OPTIONAL)]
    wrong += [f"{name} is not in the net" for name in tensors if name not in state]
    wrong += [
        f"{name} is {_shape(tensors[name])} in the file and {_shape(held)} in the net"
        for name, held in state.items()
        if name in tensors and tensors[name].shape != held.shape
    ]
    return _listed(wrong)


def of_another_kind(net: nn.Module, tensors: dict[str, Tensor]) -> str:
    """Where `tensors` hold another kind of number than `net`, in one line; empty when nowhere.

    Any float may stand for another. The counts of batches may be of any kind: averaging makes floats of them.
    """
    return _listed(
        [
            f"{name} holds {_dtype(tensors[name])} in the file and {_dtype(held)} in the net"
            for name, held in net.state_dict().items()
            if name in tensors and not name.endswith(OPTIONAL) and _kind(tensors[name]) != _kind(held)
        ]
    )


def not_finite(tensors: dict[str, Tensor]) -> str:
    """The names of tensors in which there is a NaN or an infinity, in one line; empty when there is none."""
    return _listed([name for name, held in tensors.items() if held.is_floating_point() and not _finite(held)])


def _finite(tensor: Tensor) -> bool:
    whole = tensor if tensor.itemsize > 1 else tensor.float()  # torch cannot ask an eight-bit float
    return bool(whole.isfinite().all())


def _kind(tensor: Tensor) -> str:
    """Numbers that may stand for one another: floats, complex ones, truths, integers (and what is quantised)."""
    if tensor.is_floating_point():
        return "float"
    if tensor.is_complex():
        return "complex"
    return "bool" if tensor.dtype == torch.bool else "quantised" if tensor.is_quantized else "integer"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _listed(found: list[str]) -> str:
    more = f", and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return ", ".join(found[:LISTED]) + more


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
