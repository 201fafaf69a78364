"""What a net is asked: which images, of which part, labelled by the net's own class numbers.

On the data of its own run, the run's config says how they were split, and the held-out part is the same images as then.
"""

import contextlib
import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from striate.data import Dataset, Samples
from striate.data.shown import shown
from striate.errors import StriateError, UnknownName, few, unknown
from striate.home import at_home
from striate.nets.trained import is_published, published_names
from striate.nets.weights import read_card
from striate.train import RunFolder, Settings
from striate.train.resolve import open_data

__all__ = ["Exam", "model_path", "same_data", "settings_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exam:
    """A data set, opened, and the classes that answers are given in."""

    settings: Settings
    data: Dataset
    classes: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, classes: Sequence[str]) -> "Exam":
        """The data that `settings` name. Raises StriateError as `striate.data.open` does."""
        return cls(settings=settings, data=open_data(settings), classes=tuple(classes))

    def part(self, name: str | None) -> tuple[str, Samples]:
        """The part of that name; None is the one that chose least: test, else validation.

        Raises StriateError for a part that is not there, and for a class that the net does not know.
        """
        data = self.data
        name = name or data.exam[0]
        if name not in data.parts:
            raise UnknownName(unknown(f"part of {data.name}", name, reversed(data.parts)))
        return name, _with_labels_of(data.parts[name], data.classes, self.classes, data.name)


def model_path(model: str | Path) -> Path:
    """The model file that a run folder or a path names, or the name of a net with published weights as it stands.

    Raises StriateError when there is none, or none yet.
    """
    path = at_home(model)
    if path.is_dir():
        return RunFolder.open(path).trained_model()
    if not path.exists() and not is_published(str(model)):
        runs = [str(run) for run in RunFolder.all_in(path.parent)]
        near = difflib.get_close_matches(str(model), [*runs, *published_names()], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StriateError(f"no model file or run {shown(str(path))}, and no published weights of that name{hint}")
    return path


def settings_of(model: str | Path, data: str) -> Settings:
    """How to read and split: as the run did when these are its data.

    What lies elsewhere may be the same images all the same, moved, zipped or seen from another folder: these are split
    as the run's data were, so that nothing that was trained on is tested on. A model file says how on its card.
    """
    folder = Path(model) if Path(model).is_dir() else Path(model).parent
    if (folder / "config.toml").is_file():
        settings = RunFolder.open(folder).settings()
        return settings.replace(data=data) if same_data(settings.data, data) else Settings(data=data, **settings.split)
    if Path(model).is_file():
        with contextlib.suppress(StriateError):  # a file without a card was trained elsewhere
            return Settings(data=data, **read_card(model).split)
    return Settings(data=data)


def same_data(one: str, other: str) -> bool:
    """Whether two names are of the same data, however a path to them is written."""
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))


def _with_labels_of(samples: Samples, classes: tuple[str, ...], wanted: tuple[str, ...], name: str) -> Samples:
    """The samples, labelled with the model's class numbers."""
    if classes == wanted:
        return samples
    number = {cls: i for i, cls in enumerate(wanted)}
    foreign = next((cls for cls in classes if cls not in number), None)
    if foreign is not None:
        known = few(map(repr, wanted), 6)
        raise StriateError(f"data {name} has class {foreign!r}, which the model does not know: it knows {known}")
    table = np.array([number[cls] for cls in classes], np.int64)
    return samples.relabelled(table[samples.labels])
