"""What must be the same for a run to go on: its settings, but for a few, and its training images."""

import hashlib
from typing import Any

from striate.data import Dataset
from striate.errors import StriateError
from striate.train.checkpoint import Checkpoint
from striate.train.folder import RunFolder
from striate.train.settings import Settings, plain_values

__all__ = ["check_same_data", "check_same_settings", "contents", "fingerprint", "kept_settings"]

# What may have been edited in the config of a run that goes on: where things lie, what does not decide a model, and how
# long it is to go on.
FREE = {
    "data", "data_dir", "device", "workers", "compile", "watch", "output", "name", "keep",
    "checkpoint_minutes", "checkpoint_steps", "epochs", "max_steps", "early_stop",
}  # fmt: skip


def fingerprint(data: Dataset) -> dict[str, Any]:
    """What must be the same for a run to go on: classes, and the training images by name and label."""
    digest = hashlib.sha256()
    for index, label in enumerate(data.train.labels):
        digest.update(f"{data.train.key(index)}\t{label}\n".encode("utf-8", "surrogateescape"))
    return {"classes": list(data.classes), "train": len(data.train), "sha256": digest.hexdigest()}


def contents(data: Dataset) -> dict[str, str]:
    """What tells the training images from others of the same names."""
    return data.train.contents()


def kept_settings(settings: Settings) -> dict[str, Any]:
    """What a run keeps to from its beginning to its end, in TOML's values."""
    return {name: value for name, value in plain_values(settings).items() if name not in FREE}


def check_same_settings(checkpoint: Checkpoint, settings: Settings, folder: RunFolder) -> None:
    """Raise StriateError, with the setting, where the config was edited since the checkpoint."""
    then, now = checkpoint.state.get("settings"), kept_settings(settings)
    if then is None or then == now:  # None: of a run from before settings were kept
        return
    name = next(name for name in sorted({*then, *now}) if then.get(name) != now.get(name))
    raise StriateError(
        f"cannot go on with {folder.path}: {name} was {then.get(name)} and is {now.get(name)} in {folder.config}; "
        f"put it back, or start a new run"
    )


def check_same_data(checkpoint: Checkpoint, data: Dataset, folder: RunFolder) -> None:
    """Raise StriateError, with the numbers, where the data are not those of the checkpoint."""
    then, now = checkpoint.state["data"], fingerprint(data)
    if then == now:
        before, after = checkpoint.state.get("contents", {}), contents(data)  # none of a run from before they were kept
        both = before.keys() & after.keys()  # a folder may have been packed meanwhile
        if all(before[kind] == after[kind] for kind in both):
            return
        raise StriateError(
            f"cannot go on with {folder.path}: its training images changed, though they are called as before; put them "
            f"back, or start a new run"
        )
    raise StriateError(
        f"cannot go on with {folder.path}: its data changed: {then['train']} training images of {len(then['classes'])} "
        f"classes then, {now['train']} of {len(now['classes'])} now (or other names); start a new run"
    )
