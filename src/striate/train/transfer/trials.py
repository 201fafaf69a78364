"""The trials of a comparison, and the file that keeps them: one that was stopped goes on where it was.

    trials.jsonl    what all are trials of, then a line for each, written when it has ended

Weights, images, settings and budget go into one digest. Sizes, seeds and plans do not: a comparison may be widened.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from striate.atomic import clear_temporaries, new_folder, why_not_written, write_bytes
from striate.errors import StriateError
from striate.train.lock import alone_in
from striate.train.same import contents, fingerprint, kept_settings
from striate.train.transfer.plans import Plan
from striate.train.transfer.project import SOURCES, Project

__all__ = ["PAGE", "KeptTrials", "Trial", "kept_in", "stopped_in", "subject_of"]

NAME = "trials.jsonl"
PAGE = "report.html"  # of a table, and of a comparison that is over

Key = tuple[int, int, Plan]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One plan on one draw of the data. `chosen`: the plan that auto takes of these images."""

    per_class: int
    seed: int
    plan: Plan
    accuracy: float
    seconds: float
    chosen: Plan

    @property
    def key(self) -> Key:
        """What tells it from the others of a comparison."""
        return self.per_class, self.seed, self.plan


@final
class KeptTrials:
    """The trials in `folder`, all of one subject; `add` keeps one more. See `kept_in`."""

    def __init__(self, folder: Path, subject: str) -> None:
        self.path = folder / NAME
        self.known: dict[Key, Trial] = {}
        if not _keeps(folder, subject):
            raise StriateError(f"{folder} compares other images, weights or settings; choose another --name")
        for line in self._whole_lines()[1:]:
            trial = Trial(**json.loads(line))
            self.known[trial.key] = trial

    def add(self, trial: Trial) -> None:
        """Keep a trial, whatever happens from now on. Raises StriateError when it cannot be written."""
        try:
            with self.path.open("ab") as file:
                file.write(_line(dataclasses.asdict(trial)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StriateError(f"cannot write {self.path}: {why_not_written(error)}") from error
        self.known[trial.key] = trial

    def _whole_lines(self) -> list[bytes]:
        """What was written; half a line of a killed process is cut off."""
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            os.truncate(self.path, len(whole))
        return whole.splitlines()


@contextlib.contextmanager
def kept_in(folder: Path, subject: str) -> Iterator[KeptTrials]:
    """The trials of this subject in a folder, which is made where there is none, and is no other process's meanwhile.

    It says what it is of from the moment it has its name: else a kill in between left what no command would take.
    Raises StriateError where the folder holds something else, or another process works in it.
    """
    if not folder.exists():
        try:
            new_folder(folder.parent, [folder.name], lambda staged, _: _begin(staged, subject))
        except OSError as error:
            raise StriateError(f"cannot make {folder}: {error.strerror}; choose --output") from error
    if not (folder / NAME).exists():
        raise StriateError(f"{folder} exists; choose another --name")
    with alone_in(folder):
        clear_temporaries(folder)
        clear_temporaries(folder / SOURCES)
        yield KeptTrials(folder, subject)


def stopped_in(output: Path, name: str, project: Project) -> Path | None:
    """The first comparison in `output`, by a name that begins so, that is of the project's subject and has no page."""
    begun = [
        folder
        for folder in (sorted(output.iterdir()) if output.is_dir() else ())
        if folder.name.startswith(name) and (folder / NAME).exists() and not (folder / PAGE).exists()
    ]
    subject = subject_of(project) if begun else ""
    return next((folder for folder in begun if _keeps(folder, subject)), None)


def subject_of(project: Project) -> str:
    """The digest of all that decides a trial but its size, seed and plan."""
    _, exam = project.exam
    examined = dataclasses.replace(project.data, train=exam, val=None, test=None)
    settings = kept_settings(project.settings)
    settings.pop("pretrained")  # where the source lies; its weights are in
    about = {
        "source": project.cache.weights,
        "settings": settings,
        "data": [fingerprint(project.data), contents(project.data)],
        "exam": [fingerprint(examined), contents(examined)],
        "way": repr(project.way),
        "places": project.places,
        "budget": [project.steps, project.lr],
        "probe": [project.unit, project.classifier],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _begin(folder: Path, subject: str) -> None:
    write_bytes(folder / NAME, _line({"subject": subject}))


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _keeps(folder: Path, subject: str) -> bool:
    """Whether the trials in a folder are of this subject."""
    try:
        with (folder / NAME).open("rb") as file:
            return bool(json.loads(file.readline())["subject"] == subject)
    except (OSError, ValueError, KeyError, TypeError):
        return False
