"""What `pretrained` means: the published weights, one of several by name, a hub's, or a file; and loading it."""

from dataclasses import dataclass
from pathlib import Path

from striate.errors import StriateError
from striate.nets.net import Net
from striate.nets.weights.hub import PREFIX, find_on_hub
from striate.nets.weights.published import PUBLISHED, Published, find, offline_asked
from striate.nets.weights.state import read_state
from striate.nets.weights.tensors import mismatches
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
    return Source(path=Path(pretrained))


def load_into(net: Net, source: Source) -> tuple[str, ...]:
    """Copy the file's tensors into `net`, all or none, and return what was changed to make them fit.

    Also tells the net how its images are to be prepared, where that is published. Raises StriateError listing whatever
    does not fit beyond the number of classes and grey images for coloured.
    """
    tensors, notes = adapted(net, read_state(source.path))
    wrong = mismatches(net, tensors)
    if wrong:
        spec = net.spec
        made = f"{spec.name} with {spec.num_classes} classes and {spec.in_chans} channels"
        raise StriateError(f"{source.path} does not fit {made}: {wrong}")
    net.load_state_dict(tensors, strict=False)  # only num_batches_tracked may be missing: checked above
    if source.published is not None and net.spec.in_chans == 3:
        net.preprocess = source.published.preprocess
    net.notes = notes
    return notes
