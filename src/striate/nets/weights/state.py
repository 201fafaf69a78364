"""Named tensors out of whatever file holds them: safetensors, or what `torch.save` wrote.

A file of `torch.save` is a pickle, which can hold code. It is opened with `weights_only`, which runs none, and a file
that needs any is refused. What people wrap a state in is taken off: a `state_dict` among other things, `module.` before
every name (left behind by training on several devices). DenseNet's published files are older than torch 0.4.1, which
stopped allowing dots in the names of modules; their `norm.1` is everybody's `norm1` since.

torch writes a CRC-32 beside every tensor and does not look at it again; here it is held against what is read. Pickles
from before torch 1.6 have none, so that a flipped bit among their numbers goes unseen.
"""

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import torch
from torch import Tensor

from striate.errors import StriateError
from striate.nets.weights.tensors import read

__all__ = ["read_state"]

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts keep a state
PREFIX = "module."
DOTTED = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)")


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of the file by name, on the CPU.

    Raises StriateError, one line, for a file that is missing, cut short, damaged, of another kind, or holds code.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    if start == b"PK":  # a zip since torch 1.6, a pickle before
        _check_sums(path)
    saved_by_torch = start == b"PK" or start[:1] == b"\x80"
    return _unwrapped(_unpickled(path), path) if saved_by_torch else read(path).tensors


def _check_sums(path: Path) -> None:
    """Raise StriateError unless every part of the zip is what its CRC-32 says."""
    try:
        with zipfile.ZipFile(path) as parts:
            summed = any(part.CRC for part in parts.infolist())  # torch can be told to write none, and writes zeros
            spoilt = parts.testzip() if summed else None
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _not_of_torch(path, error) from error
    if spoilt is not None:
        raise StriateError(f"{path} is damaged: {spoilt} is not what was saved in it; use another copy")


def _unpickled(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on odd protocols, which then load or are refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise StriateError(
                f"{path} holds more than tensors, which could run code, and is not opened; "
                "save its state_dict alone, or convert it to safetensors where you trust it"
            ) from error
        raise StriateError(f"{path} is damaged or not a file of torch.save; use another copy") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise _not_of_torch(path, error) from error


def _not_of_torch(path: Path, error: Exception) -> StriateError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return StriateError(f"{path} is damaged or not a file of torch.save ({reason}); use another copy")


def _unwrapped(held: object, path: Path) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(held, dict) and isinstance(held.get(wrapper), dict):
            held = held[wrapper]
            break
    if not isinstance(held, dict) or not held:
        raise StriateError(f"{path} holds a {type(held).__name__}, not tensors by name")
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise StriateError(f"{path} holds {name!r} of type {type(value).__name__} among its tensors")
        if value.is_meta:
            raise StriateError(f"{path}: {name} has a shape and no numbers (it is on the meta device); save a real net")
        if value.layout != torch.strided or value.is_nested:
            raise StriateError(f"{path}: {name} is kept sparse or nested; save it whole, as tensor.to_dense()")
    prefixed = all(name.startswith(PREFIX) for name in held)
    names = {name: name.removeprefix(PREFIX) if prefixed else name for name in held}
    return {DOTTED.sub(r"\1\2", names[name]): value for name, value in held.items()}
