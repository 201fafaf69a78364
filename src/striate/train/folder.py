"""The run folder: where everything about one run lies.

runs/<name>/config.toml        the resolved settings
            log.jsonl          what happened
            tensorboard/       the same for TensorBoard
            checkpoints/       what resume needs
            best.safetensors   the model file of the best validation epoch
            last.safetensors   the model file of the end of the run
            report.html        the page to read
"""

import errno
import itertools
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from striate.atomic import TEMPORARY_PREFIX, clear_temporaries, new_folder, write_bytes
from striate.errors import StriateError, unknown
from striate.train.settings import Settings, read_toml, settings_from, to_toml

__all__ = ["RunFolder", "check_output", "check_plain", "numbered"]


class RunFolder:
    """Names for the parts of a run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.log = self.path / "log.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.safetensors"
        self.last = self.path / "last.safetensors"
        self.report = self.path / "report.html"

    @property
    def model(self) -> Path:
        """The model file to use: the best epoch's where there is one, else the last."""
        return self.best if self.best.is_file() else self.last

    def trained_model(self) -> Path:
        """`model`, which is a file. Raises StriateError before the first epoch's end, when there is none."""
        if not self.model.is_file():
            resume = shlex.join(["striate", "train", "--resume", str(self.path)])
            raise StriateError(
                f"{self.path} has no model yet, its first epoch is not done; let it end, or go on with: {resume}"
            )
        return self.model

    @classmethod
    def check_free(cls, settings: Settings) -> None:
        """Refuse a taken run name, a place that holds no run, and what no config could say, before any work is done."""
        cls.check_place(settings)
        if settings.name is not None and (taken := Path(settings.output) / settings.name).exists():
            raise StriateError(
                f"run {taken} exists; choose another --name, or continue it with striate train --resume {taken}"
            )

    @staticmethod
    def check_place(settings: Settings) -> None:
        """The same for a name of which it does not matter whether it is free."""
        try:
            to_toml(settings)
        except TypeError as error:
            raise StriateError(f"a run's config cannot hold these settings: {error}") from error
        for given in (settings.data, settings.output, settings.name or ""):
            try:
                given.encode()
            except UnicodeEncodeError:
                raise StriateError(f"{given!r} is no text in UTF-8, as a config needs it; rename it") from None
        check_output(Path(settings.output), "a run")
        check_plain(settings.name)

    @classmethod
    def create(cls, settings: Settings, default_name: str) -> "RunFolder":
        """A new folder that holds its config from the moment it has its name; unnamed runs are numbered."""
        cls.check_free(settings)
        output = Path(settings.output)

        def fill(staged: Path, name: str) -> None:
            write_bytes(staged / "config.toml", to_toml(settings.replace(name=name)).encode())

        try:
            made = new_folder(output, [settings.name] if settings.name else numbered(default_name), fill)
        except OSError as error:
            choose = "a shorter --name" if error.errno == errno.ENAMETOOLONG else "--output"
            raise StriateError(f"cannot make a run in {output}: {error.strerror}; choose {choose}") from error
        if made is None:
            raise StriateError(f"run {output / str(settings.name)} exists; choose another --name")
        return cls(made)

    @staticmethod
    def all_in(output: Path) -> list[Path]:
        """The folders of the runs in `output`, by name; one that a killed process was making is none."""
        found = (config.parent for config in output.glob("*/config.toml"))
        return sorted(path for path in found if not path.name.startswith(TEMPORARY_PREFIX))

    @classmethod
    def newest_in(cls, output: Path) -> Path | None:
        """The run whose log was written last, or its config where it has no log yet; None where there is no run."""

        def written(run: Path) -> float:
            folder = cls(run)
            return (folder.log if folder.log.is_file() else folder.config).stat().st_mtime

        return max(cls.all_in(output), key=written, default=None)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """An existing run; one clear line when it is not one."""
        folder = cls(Path(path))
        if folder.config.is_file():
            return folder
        if not folder.path.is_dir():
            parent = folder.path.parent
            runs = [found.name for found in cls.all_in(parent)]
            raise StriateError(unknown(f"run in {parent}", folder.path.name, runs) if runs else f"no run {path}")
        raise StriateError(f"{path} is not a run: it has no config.toml")

    def clear(self) -> None:
        """Take away what a killed process was writing; only for the one that holds the folder's lock."""
        clear_temporaries(self.path)

    def settings(self) -> Settings:
        """The resolved settings of the run. Raises StriateError, with the file, for a config that says nonsense."""
        try:
            return settings_from(read_toml(self.config))
        except StriateError as error:
            where = "" if str(self.config) in str(error) else f"{self.config}: "
            raise StriateError(f"{where}{error}") from error


def check_plain(name: str | None) -> None:
    """Raise StriateError for a name that is a path; none at all is chosen later."""
    if name is not None and (Path(name).name != name or name in ("", ".", "..")):
        raise StriateError(f"--name {name!r} is not a plain name; put the folder in --output")


def check_output(output: Path, what: str) -> None:
    """Raise StriateError where no folder of `what` can be made, as the nearest one above that is there tells."""
    above = output
    while not os.path.exists(above) and above != above.parent:  # noqa: PTH110 - pathlib's raises for names too long
        above = above.parent
    lacking = errno.ENOTDIR if not above.is_dir() else 0 if os.access(above, os.W_OK | os.X_OK) else errno.EACCES
    if lacking:
        raise StriateError(f"cannot make {what} in {output}: {os.strerror(lacking)}; choose --output")


def numbered(name: str) -> Iterator[str]:
    """The name, and what it is called where that is taken."""
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
