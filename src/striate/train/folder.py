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
import shutil
import tempfile
from pathlib import Path

from striate.atomic import TEMPORARY_PREFIX, sync_folder, umask, write_bytes
from striate.errors import StriateError, unknown
from striate.train.settings import Settings, read_toml, settings_from, to_toml

__all__ = ["RunFolder"]


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

    @classmethod
    def check_free(cls, settings: Settings) -> None:
        """Refuse a taken run name, a place that holds no run, and what no config could say, before any work is done."""
        for given in (settings.data, settings.output, settings.name or ""):
            try:
                given.encode()
            except UnicodeEncodeError:
                raise StriateError(f"{given!r} is no text in UTF-8, as a config needs it; rename it") from None
        _check_place(Path(settings.output))
        if settings.name is None:
            return
        if Path(settings.name).name != settings.name or settings.name in ("", ".", ".."):
            raise StriateError(f"--name {settings.name!r} is not a plain name; put the folder in --output")
        if (Path(settings.output) / settings.name).exists():
            taken = Path(settings.output) / settings.name
            raise StriateError(f"run {taken} exists; choose another --name, or continue it with --resume {taken}")

    @classmethod
    def create(cls, settings: Settings, default_name: str) -> "RunFolder":
        """A new folder that holds its config from the moment it has its name; unnamed runs are numbered."""
        cls.check_free(settings)
        output = Path(settings.output)
        try:
            output.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=output))
        except OSError as error:
            raise StriateError(f"cannot make a run in {output}: {error.strerror}; choose --output") from error
        try:
            names = [settings.name] if settings.name else _numbered(default_name)
            for name in names:
                if (output / name).exists():
                    continue
                write_bytes(staged / "config.toml", to_toml(settings.replace(name=name)).encode())
                staged.chmod(0o777 & ~umask())  # mkdtemp makes private folders; this is an ordinary one
                try:
                    os.rename(staged, output / name)
                except OSError:  # another process took the name in between
                    continue
                sync_folder(output)
                return cls(output / name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        raise StriateError(f"run {output / str(settings.name)} exists; choose another --name")

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """An existing run; one clear line when it is not one."""
        folder = cls(Path(path))
        if folder.config.is_file():
            return folder
        if not folder.path.is_dir():
            parent = folder.path.parent
            runs = sorted(found.parent.name for found in parent.glob("*/config.toml"))
            raise StriateError(unknown(f"run in {parent}", folder.path.name, runs) if runs else f"no run {path}")
        raise StriateError(f"{path} is not a run: it has no config.toml")

    def clear(self) -> None:
        """Take away what a killed process was writing; only for the one that holds the folder's lock."""
        for path in self.path.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)

    def settings(self) -> Settings:
        """The resolved settings of the run. Raises StriateError, with the file, for a config that says nonsense."""
        try:
            return settings_from(read_toml(self.config))
        except StriateError as error:
            where = "" if str(self.config) in str(error) else f"{self.config}: "
            raise StriateError(f"{where}{error}") from error


def _check_place(output: Path) -> None:
    """Raise StriateError where no folder can be made, as the nearest one above that is there tells."""
    above = output
    while not os.path.exists(above) and above != above.parent:  # noqa: PTH110 - pathlib's raises for names too long
        above = above.parent
    lacking = errno.ENOTDIR if not above.is_dir() else 0 if os.access(above, os.W_OK | os.X_OK) else errno.EACCES
    if lacking:
        raise StriateError(f"cannot make a run in {output}: {os.strerror(lacking)}; choose --output")


def _numbered(name: str) -> itertools.chain[str]:
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
