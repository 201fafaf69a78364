"""Weights from the Hugging Face hub: `hf:owner/name` or `hf:owner/name:file`.

`huggingface_hub` does the fetching and keeps its own cache; it is an extra (`pip install 'striate[hub]'`), since most
runs never ask for it.
"""

import importlib
from pathlib import Path

from striate.errors import StriateError

__all__ = ["PREFIX", "find_on_hub"]

PREFIX = "hf:"
FILE = "model.safetensors"  # as the hub's own libraries name it


def find_on_hub(address: str, *, offline: bool = False) -> Path:
    """The file that `address` names, fetched unless the hub's cache has it.

    Raises StriateError for an address that is none, without the extra, and when the file cannot be had.
    """
    repository, _, file = address.removeprefix(PREFIX).partition(":")
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name:
        raise StriateError(f"{address!r} is no address on the hub; write hf:owner/name or hf:owner/name:file")
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise StriateError(
            f"{address} needs huggingface_hub, which is not installed: pip install 'striate[hub]'"
        ) from error
    try:
        return Path(hub.hf_hub_download(repository, file or FILE, local_files_only=offline))
    except Exception as error:  # whatever its network library raises: the hub is not ours to list
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if offline and type(error).__name__ == "LocalEntryNotFoundError":  # which speaks of arguments of its own
            reason = "this is offline, and the hub's cache does not have it"
        raise StriateError(f"cannot get {file or FILE} of {repository} from the hub: {reason}") from error
