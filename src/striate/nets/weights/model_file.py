"""The model file: one safetensors file that holds a trained net and everything needed to use it as it was evaluated.

The tensors have the net's own names. The metadata hold one text, `striate`: the card as JSON, closed by the SHA-256 of
the card and all tensors, because the format itself cannot tell a flipped bit. The card holds what builds the net again
(name, settings, classes, channels, input size), what prepares an image (`preprocess`), and where it all came from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

import striate
from striate import atomic
from striate.errors import StriateError
from striate.home import at_home
from striate.nets.net import Net
from striate.nets.registry import build
from striate.nets.weightless import weightless
from striate.nets.weights.tensors import mismatches, read, read_metadata

__all__ = ["ModelCard", "load_model", "read_card", "save_model"]

FORMAT = 1  # raised when an older striate could not read a file any more


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of a trained net. `input_size` is (height, width) in px; `preprocess` belongs to `striate.data`."""

    net: str
    classes: tuple[str, ...]
    in_chans: int
    input_size: tuple[int, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)  # the policy it was trained under; `striate.augment`'s
    data: str = ""  # what it was trained on, as it was named to `striate.data.open`
    split: Mapping[str, Any] = field(default_factory=dict)  # how these data were split: fractions and seed
    metrics: Mapping[str, Any] = field(default_factory=dict)
    striate: str = striate.__version__
    format: int = FORMAT

    def build(self) -> Net:
        """The net this card describes, freshly initialised."""
        return build(
            self.net,
            num_classes=len(self.classes),
            in_chans=self.in_chans,
            input_size=self.input_size,
            **self.settings,
        )


def save_model(path: str | Path, net: nn.Module, card: ModelCard) -> None:
    """Write `net` and its `card` as the whole of `path`, atomically.

    Raises StriateError when the card does not describe this net (such a file could never be loaded), or when the file
    cannot be written.
    """
    state = {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
    with weightless():
        wrong = mismatches(card.build(), state)
    if wrong:
        raise StriateError(f"the card describes another net than the one to save in {path}: {wrong}")
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    # One entry of metadata: the format does not order several, and equal nets should make equal files.
    atomic.write_bytes(Path(path), safetensors.torch.save(tensors, {"striate": _sealed(asdict(card), tensors)}))


def load_model(path: str | Path) -> tuple[Net, ModelCard]:
    """The net in evaluation mode, on the CPU, with the numbers exactly as saved; and its card.

    Raises StriateError, in one line, for a file that is missing, cut short, damaged, foreign, newer than this striate,
    or whose tensors are not those of its net.
    """
    path = at_home(path)
    file = read(path)
    card = _card(path, file.metadata)
    text = file.metadata["striate"]
    fields = json.loads(text)
    fields.pop("sha256", None)
    if text != _sealed(fields, file.tensors):
        raise StriateError(f"{path} is damaged: it does not hold what was saved in it; use another copy")
    try:
        with weightless():  # no weight is drawn only to be overwritten
            net = card.build()
    except (StriateError, TypeError) as error:
        raise StriateError(f"cannot build the net of {path} (written by striate {card.striate}): {error}") from error
    wrong = mismatches(net, file.tensors)
    if wrong:
        raise StriateError(f"{path} does not hold the weights of its net {card.net}: {wrong}")
    net.load_state_dict(file.tensors, assign=True)
    return net.eval(), card


def read_card(path: str | Path) -> ModelCard:
    """The card alone, without reading the tensors or vouching for them. Raises StriateError as `load_model` does."""
    path = at_home(path)
    return _card(path, read_metadata(path))


def _card(path: Path, metadata: Mapping[str, str]) -> ModelCard:
    if "striate" not in metadata:
        raise StriateError(
            f"{path} holds tensors but no striate card; load it into a net you name: "
            f"create_model(name, pretrained={str(path)!r})"
        )
    try:
        fields = json.loads(metadata["striate"])
        written_by, version = fields["striate"], int(fields["format"])
        if version > FORMAT:
            raise StriateError(
                f"{path} was written by striate {written_by} (format {version}); "
                f"this is {striate.__version__}, which reads up to format {FORMAT}: upgrade striate"
            )
        fields.pop("sha256", None)
        height, width = fields.pop("input_size")
        settings = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.pop("settings").items()
        }
        classes = tuple(fields.pop("classes"))
        return ModelCard(**fields, classes=classes, input_size=(height, width), settings=settings)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StriateError(f"{path} is damaged: its striate card cannot be read ({error}); use another copy") from error


def _sealed(fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """The card as JSON, its last entry the digest of all before it and of the tensors."""
    digest = _digest(json.dumps(fields, ensure_ascii=False), tensors)
    return json.dumps({**fields, "sha256": digest}, ensure_ascii=False)


def _digest(card: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the card, then each tensor's name, type, shape and bytes, in the order of the names."""
    digest = hashlib.sha256(card.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
