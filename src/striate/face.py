"""The face: one call from images to a trained net, and the run it returns.

>>> import striate
>>> run = striate.fit("digits", epochs=1, seed=0, output=tmp, verbose=False)  # doctest: +SKIP
>>> run.evaluate().metrics.accuracy  # doctest: +SKIP
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from striate.errors import StriateError, given
from striate.evaluate import Evaluation, Plan, Prediction, Predictor, evaluate, find_images
from striate.evaluate.views import Scales
from striate.home import at_home
from striate.train import RunFolder, Settings, load_recipe, read_toml, reporter_for, resume, settings_from, start
from striate.train.report import EpochRow
from striate.train.story import history

__all__ = ["Run", "fit", "settings_for"]


class Run:
    """A run folder, read: what it was told, how it went, and its model to ask."""

    def __init__(self, path: str | Path) -> None:
        """Raises StriateError when `path` is not a run folder."""
        self.folder = RunFolder.open(at_home(path).absolute())  # a notebook may go to another folder

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.folder.settings()

    @property
    def history(self) -> tuple[EpochRow, ...]:
        """The epochs so far, in order."""
        return history(self.path)

    @property
    def best(self) -> EpochRow | None:
        """The epoch whose weights are kept: least validation error, then least loss. None before the first epoch."""
        rows = [row for row in self.history if row.val_accuracy is not None and row.val_loss is not None]
        return min(rows, key=lambda row: (-(row.val_accuracy or 0), row.val_loss), default=None)

    @property
    def report(self) -> Path:
        """The page to read; written when the run ends."""
        return self.folder.report

    def evaluate(self, data: str | None = None, **settings: Any) -> Evaluation:
        """Measures of the run's model, e.g. with crops=10, scales=5; see `striate.evaluate.evaluate`."""
        return evaluate(self.path, data, **settings)

    def predict(
        self, paths: str | Path | Iterable[str | Path], *, top_k: int = 5, crops: int = 1, scales: Scales = 1
    ) -> list[Prediction]:
        """What the run's model says about files, folders or patterns, one prediction for each image.

        Raises StriateError for what names no image, and for pixels: save them as a file, so that they are read as all.
        """
        arguments = [paths] if isinstance(paths, (str, Path)) or not isinstance(paths, Iterable) else list(paths)
        for argument in arguments:
            if not isinstance(argument, (str, Path)):
                raise StriateError(f"images are given by the paths of their files, or folders, got {given(argument)}")
        found = find_images(str(at_home(argument)) for argument in arguments)
        plan = Plan(crops=crops, scales=scales)
        return list(Predictor(self.folder.trained_model(), plan=plan).predict(found, top_k=top_k))


def fit(
    data: str | Path = "digits",
    *,
    recipe: str | Path | None = None,
    config: str | Path | None = None,
    resume_from: str | Path | None = None,
    verbose: bool = True,
    **settings: Any,
) -> Run:
    """Train a net on images and return the run.

    `data` as on the command line: a name (`digits`, `mnist`, `cifar10`, …), a folder, zip, pack or CSV. `settings` are
    the fields of `striate.train.Settings`; they win over the TOML file `config`, which wins over `recipe`.
    `resume_from` goes on with a run instead. Seeds the global generators of torch, NumPy and Python.

    Raises StriateError when the run cannot begin, and its subclass Diverged when the loss explodes.
    """
    reporter = reporter_for(quiet=not verbose)
    if resume_from is not None:
        if data != "digits" or recipe or config or settings:
            raise StriateError("a resumed run keeps its settings; give nothing but resume_from")
        return Run(resume(at_home(resume_from), reporter).folder.path)
    chosen = settings_for(recipe=recipe, config=config, flags={"data": "" if data is None else data, **settings})
    return Run(start(chosen, reporter).folder.path)


def settings_for(*, recipe: str | Path | None, config: str | Path | None, flags: dict[str, Any]) -> Settings:
    """Settings from their layers: defaults, recipe, config file, flags; a flag that is None was not given."""
    layers = [
        load_recipe(recipe).settings if recipe else {},
        read_toml(at_home(config)) if config else {},
        {name: value for name, value in flags.items() if value is not None},
    ]
    return settings_from(*layers)
