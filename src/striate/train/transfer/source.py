"""The trained net that is started from: a run, a model file, published weights, or a file of weights alone."""

import dataclasses
from pathlib import Path
from typing import final

from striate.errors import StriateError
from striate.nets import Net, list_models
from striate.nets.imported import import_weights
from striate.nets.trained import is_published, load_trained
from striate.nets.weights import ModelCard, save_model
from striate.train.folder import RunFolder

__all__ = ["Source", "open_source"]

CARDLESS = (".pth", ".pt", ".th", ".bin")  # what torch.save is called by
CAFFE = ".caffemodel"


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The net in evaluation mode, what is known of it, and where it came from."""

    net: Net
    card: ModelCard
    name: str
    file: Path | None = None  # the model file that it is, where it is one
    notes: tuple[str, ...] = ()

    def as_file(self, folder: Path) -> Path:
        """A model file of it, which says how its images are prepared; written into `folder` where there is none."""
        if self.file is not None:
            return self.file
        from striate.train.transfer.cache import digest_of_net  # here: Arrow takes a while to load

        path = folder / f"{self.card.net}-{digest_of_net(self.net)[:12]}.safetensors"
        if not path.is_file():
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StriateError(f"cannot keep the weights in {folder}: {error.strerror}") from error
            save_model(path, self.net, self.card)
        return path


def open_source(model: str, *, net: str | None = None, offline: bool = False) -> Source:
    """What `model` names: a run's folder, a model file, a net with published weights, or weights of `net`.

    Without `net` the name of a file of weights is asked: squeezenet1_1-….pth, resnet20-….th. Raises StriateError, with
    what to do, where that says nothing, and as the readers of those files do.
    """
    path = Path(model)
    if path.is_dir():
        file = RunFolder.open(path).trained_model()
        loaded, card = load_trained(file)
        return Source(net=loaded, card=card, name=model, file=file)
    if path.suffix == CAFFE:
        raise StriateError(
            f"{model} needs its prototxt: make a model file of the two with `striate convert`, and give that"
        )
    if path.is_file() and (net is not None or path.suffix in CARDLESS):
        imported = import_weights(path, net or _named_by(path))
        return Source(net=imported.net, card=imported.card, name=model, notes=imported.notes)
    if not path.exists() and not is_published(model):
        raise StriateError(f"--from {model}: no run, model file or file of weights, and no published weights")
    loaded, card = load_trained(model, offline=offline)
    return Source(net=loaded, card=card, name=model, file=path if path.is_file() else None)


def _named_by(path: Path) -> str:
    """The net whose name the file's begins with; the longest that does."""
    stem = path.stem.lower()
    fitting = [name for name in list_models() if stem.startswith(name) and not stem[len(name) :][:1].isalnum()]
    if not fitting:
        raise StriateError(f"{path.name} does not say of which net it holds the weights; give --model NET")
    return max(fitting, key=len)
