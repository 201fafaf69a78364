"""The libraries that a convolution can be compared with, by name; each in a file of its own, loaded when it is used."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from striate.bench.subject import Subject
from striate.errors import StriateError, UnknownName, unknown

__all__ = ["PEERS", "Peer", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library, before it is loaded. direct: it takes the direct sum for every shape, by one library or another."""

    name: str
    package: str  # what is installed
    needs: tuple[str, ...]  # modules that must be there
    subject: str  # module:class
    direct: bool
    trains: bool = False

    @property
    def installed(self) -> bool:
        """Whether it can be loaded."""
        return all(importlib.util.find_spec(module) is not None for module in self.needs)

    @property
    def version(self) -> str:
        """Of the installed package."""
        return importlib.metadata.version(self.package)

    def load(self) -> type[Subject]:
        """The class whose objects are timed."""
        module, _, name = self.subject.partition(":")
        found: type[Subject] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return found


_ALL = (
    Peer(name="torch", package="torch", needs=("torch",), subject="pytorch:Eager", direct=True, trains=True),
    Peer(name="torch-frozen", package="torch", needs=("torch",), subject="pytorch:Frozen", direct=True),
    Peer(
        name="onnxruntime",
        package="onnxruntime",
        needs=("onnxruntime", "onnx"),
        subject="onnx_runtime:OnnxRuntime",
        direct=True,
    ),
    Peer(name="openvino", package="openvino", needs=("openvino",), subject="open_vino:OpenVino", direct=True),
    Peer(name="ncnn", package="ncnn", needs=("ncnn",), subject="tencent_ncnn:Ncnn", direct=False),
    Peer(name="mnn", package="MNN", needs=("MNN",), subject="alibaba_mnn:Mnn", direct=False),
)
PEERS = {peer.name: peer for peer in _ALL}


def chosen(names: str | None) -> tuple[list[Peer], list[str]]:
    """The peers to compare with, and a sentence about those that are missing.

    names: separated by commas; None: all that are installed. Raises StriateError for a name that is not in the list,
    and for a peer asked for by name that is not installed.
    """
    if names is not None:
        wanted = [word.strip() for word in names.split(",") if word.strip()]
        for name in wanted:
            if name not in PEERS:
                raise UnknownName(unknown("peer", name, PEERS))
        missing = [name for name in wanted if not PEERS[name].installed]
        if missing:
            raise StriateError(_how_to(missing))
        return [PEERS[name] for name in dict.fromkeys(wanted)], []
    missing = [peer.name for peer in PEERS.values() if not peer.installed]
    return [peer for peer in PEERS.values() if peer.installed], [_how_to(missing)] if missing else []


def _how_to(missing: Sequence[str]) -> str:
    are = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing)} {are} not installed; `pip install 'striate[peers]'` brings what to compare with"
