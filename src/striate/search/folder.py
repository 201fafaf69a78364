"""The folder of a search.

searches/<name>/search.toml     the whole plan; a space file that repeats the search
                study.db        the trials (SQLite), unless --storage says otherwise
                trials/         a run's folder for each trial: config.toml, log.jsonl, the best ones' model
                ranking.json    the trials from best to worst, for programs and `striate evaluate`
                best.toml       the best trial's settings as a recipe
                report.html     the page to read
                workers/        what the worker processes said on stderr
"""

import shlex
from pathlib import Path

from striate.atomic import TEMPORARY_PREFIX, new_folder, write_bytes
from striate.errors import StriateError, unknown
from striate.search.plan import Plan, plan_from, to_toml
from striate.search.storage import absolute, sqlite_url
from striate.train import read_toml
from striate.train.folder import check_output, check_plain, numbered

__all__ = ["SearchFolder", "resume_hint"]


class SearchFolder:
    """Names for the parts of a search's folder."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.plan_file = self.path / "search.toml"
        self.address = self.path / "storage.txt"
        self.trials = self.path / "trials"
        self.ranking = self.path / "ranking.json"
        self.best = self.path / "best.toml"
        self.report = self.path / "report.html"
        self.workers = self.path / "workers"

    @property
    def name(self) -> str:
        """The search's name, in its storage too."""
        return self.path.name

    @staticmethod
    def check_free(output: Path, name: str | None) -> None:
        """Raise StriateError for a name that is taken, or a place that holds no search, before any work is done."""
        check_plain(name)
        check_output(output, "a search")
        if name is not None and (taken := output / name).exists():
            raise StriateError(f"search {taken} exists; choose another --name, or go on with it: --resume {taken}")

    @classmethod
    def create(
        cls, plan: Plan, output: Path, name: str | None, default_name: str, storage: str | None
    ) -> "SearchFolder":
        """A new folder that holds its plan from the moment it has its name. Raises StriateError where that is taken."""
        cls.check_free(output, name)

        def fill(staged: Path, _: str) -> None:
            folder = cls(staged)
            folder.trials.mkdir()
            folder.workers.mkdir()
            if storage is not None:
                write_bytes(folder.address, f"{absolute(storage)}\n".encode())
            write_bytes(folder.plan_file, to_toml(plan).encode())

        try:
            made = new_folder(output, [name] if name else numbered(default_name), fill)
        except OSError as error:
            raise StriateError(f"cannot make a search in {output}: {error.strerror}; choose --output") from error
        if made is not None:
            return cls(made)
        raise StriateError(f"search {output / str(name)} exists; choose another --name")  # made in this very moment

    @classmethod
    def open(cls, path: Path) -> "SearchFolder":
        """An existing search; one clear line when it is none."""
        folder = cls(path)
        if folder.plan_file.is_file():
            return folder
        parent = folder.path.parent
        found = sorted(one.parent.name for one in parent.glob("*/search.toml"))
        known = [one for one in found if not one.startswith(TEMPORARY_PREFIX)]
        if known and not folder.path.exists():
            raise StriateError(unknown(f"search in {parent}", folder.path.name, known))
        raise StriateError(f"{path} is not a search: it has no search.toml")

    def plan(self) -> Plan:
        """What the search was told."""
        return plan_from([read_toml(self.plan_file)], {}, {})

    @property
    def storage(self) -> str:
        """The address of the storage: the one given, or a database in the folder."""
        if self.address.is_file():
            return self.address.read_text(encoding="utf-8").strip()
        return sqlite_url(self.path.resolve() / "study.db")


def resume_hint(folder: SearchFolder) -> str:
    """What to type for a search that was stopped."""
    return f"go on with: striate search --resume {shlex.quote(str(folder.path))}"
