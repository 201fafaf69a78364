"""What `pretrained` means: the published weights, one of several by name, a hub's, or a file; and loading it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from striate.errors import StriateError
from striate.nets.net import Net
from striate.nets.weights.hub import PREFIX, find_on_hub
from striate.nets.weights.model_file import read_card
from striate.nets.weights.published import PUBLISHED, Published, find, offline_asked
from striate.nets.weights.state import read_state
from striate.nets.weights.tensors import mismatches, not_finite, of_another_kind, read_metadata
from striate.nets.weights.transfer import adapted

__all__ = ["Source", "load_into", "locate"]

DEFAULT = "published"  # True as a word, for settings and command lines


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that is here, and what is published of it."""

    path: Path
    published: Published | None = None


def locate(net: str, pretrained: bool | str | Path, *, offline: bool = False) -> Source:
    """The file of weights for the net called `net`, fetched where it has to be.

    Raises StriateError when nothing is published for the net, or what is asked for cannot be had.
    """
    known = PUBLISHED.get(net, ())
    if isinstance(pretrained, bool) or pretrained == DEFAULT:
        if not known:
            raise StriateError(
                f"no published weights are known for {net}; give a file: pretrained='weights.safetensors', or a hub's: "
                "pretrained='hf:owner/name'"
            )
        return Source(path=find(known[0], offline=offline), published=known[0])
    if isinstance(pretrained, str):
        if pretrained.startswith(PREFIX):
            return Source(path=find_on_hub(pretrained, offline=offline or offline_asked()))
        for published in known:
            if published.name == pretrained.removesuffix(".pth") and not Path(pretrained).exists():
                return Source(path=find(published, offline=offline), published=published)
    if not isinstance(pretrained, str | os.PathLike) or pretrained == "":
        raise StriateError(f"pretrained is True, a name, or the path of a file of weights, got {pretrained!r}")
    return Source(path=Path(pretrained))


def load_into(net: Net, source: Source) -> tuple[str, ...]:
    """Copy the file's tensors into `net`, all or none, and return what was changed to make them fit.

    Also tells the net how its images are to be prepared, where that is published or in a model file's card. Raises
    StriateError listing whatever does not fit beyond the number of classes and grey images for coloured, and for
    weights with a NaN or an infinity among them, which no layer after would get rid of.
    """
    tensors, notes = adapted(net, read_state(source.path))
    wrong = mismatches(net, tensors) or of_another_kind(net, tensors)
    if wrong:
        spec = net.spec
        made = f"{spec.name} with {spec.num_classes} classes and {spec.in_chans} channels"
        raise StriateError(f"{source.path} does not fit {made}: {wrong}")
    spoilt = not_finite(tensors)
    if spoilt:
        raise StriateError(
            f"{source.path} holds values that are not finite (NaN or infinity) in {spoilt}; use other weights"
        )
    net.load_state_dict(tensors, strict=False)  # only num_batches_tracked may be missing: checked above
    known = source.published.preprocess if source.published is not None else _card_preprocess(source.path)
    if known and known.get("channels") == net.spec.in_chans:
        net.preprocess = known
    net.notes = notes
    return notes


def _card_preprocess(path: Path) -> Mapping[str, Any]:
    """What the card of a model file says of its images; nothing for files of tensors alone."""
    if path.suffix != ".safetensors" or "striate" not in read_metadata(path):
        return {}
    return read_card(path).preprocess
