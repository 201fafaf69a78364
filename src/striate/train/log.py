"""The log of a run: `log.jsonl`, always, and TensorBoard events.

The JSON lines are part of the state. A checkpoint remembers how long the log was when it was saved, and resume cuts it
back to there, so a run that was killed and resumed leaves the same records as one that never was (but for times).

Points for TensorBoard are kept until `sync`, when nothing trains: to write one costs more than a small net's step
(docs/design/training.md).
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.atomic import sync_folder, why_not_written
from striate.errors import StriateError
from striate.train.events import EventFile

__all__ = ["RunLog", "read_log", "record_of"]


class RunLog:
    """Appends records; `sync` makes all of them durable and says how many bytes they take.

    `lost_nbytes`: what is missing of a log that is shorter than its checkpoint says.
    """

    def __init__(
        self, folder: Path, *, keep_nbytes: int | None = None, step: int = 0, tensorboard: bool = True
    ) -> None:
        """Open the log in `folder`; `keep_nbytes` cuts it back to a checkpoint's length, taken at `step`."""
        self.path = Path(folder) / "log.jsonl"
        with _clear_errors(self.path):
            self._file = self.path.open("ab")
            sync_folder(self.path.parent)  # what `sync` makes durable has a name that is
            self.lost_nbytes = 0
            if keep_nbytes is not None:
                there = self._file.seek(0, os.SEEK_END)
                self.lost_nbytes = max(0, keep_nbytes - there)  # never filled up: that would be no records
                self._file.truncate(min(there, keep_nbytes))
                self._file.seek(0, os.SEEK_END)
                if self.lost_nbytes and there:
                    self._file.write(b"\n")  # after what may be half a record
            purge_step = step if keep_nbytes is not None else None
            self._boards = EventFile(Path(folder) / "tensorboard", purge_step) if tensorboard else None
        self._points: list[tuple[str, float, int, float]] = []  # name, value, step, seconds since 1970
        self._histograms: list[tuple[str, tuple[float, float, tuple[int, ...]], int, float]] = []

    def write(self, event: str, **values: Any) -> None:
        """One record: what happened, when (seconds since 1970), and its values."""
        record = {"event": event, "time": round(time.time(), 3), **values}
        with _clear_errors(self.path):
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()

    def scalars(self, step: int, **values: float | None) -> None:
        """The same numbers for TensorBoard, under names like `loss/train`; they reach it at the next `sync`."""
        self.points(step, {name.replace("__", "/"): value for name, value in values.items()})

    def points(self, step: int, values: Mapping[str, float | None]) -> None:
        """As `scalars`, by names that no keyword could be."""
        now = time.time()
        self._points += [(name, value, step, now) for name, value in values.items() if value is not None]

    def histogram(self, step: int, name: str, low: float, high: float, counts: Sequence[int]) -> None:
        """For TensorBoard: how many values lie in each of equally wide bins; reaches it at the next `sync`."""
        self._histograms.append((name, (low, high, tuple(counts)), step, time.time()))

    def sync(self) -> int:
        """Flush to the disk; returns the log's length in bytes, for the checkpoint."""
        with _clear_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._hand_over()
        return self._file.tell()

    def close(self) -> None:
        """Close both logs."""
        with _clear_errors(self.path):
            try:
                self._hand_over()
            finally:
                self._file.close()

    def _hand_over(self) -> None:
        """The points kept so far, to TensorBoard's file."""
        if self._boards is None:
            self._points.clear()
            return
        for name, value, step, when in self._points:
            self._boards.scalar(step, when, name, value)
        for name, bins, step, when in self._histograms:
            self._boards.histogram(step, when, name, *bins)
        self._points.clear()
        self._histograms.clear()
        self._boards.write()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; a last line cut short by a kill is left out."""
    path = Path(folder) / "log.jsonl"
    if not path.is_file():
        raise StriateError(f"{folder} is not a run: it has no log.jsonl")
    return [record for line in path.read_bytes().split(b"\n") if (record := record_of(line)) is not None]


def record_of(line: bytes) -> dict[str, Any] | None:
    """The record in a line of a log; None where it is cut short by a kill, or damaged into something else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, or no text at all
        return None
    return record if isinstance(record, dict) and "event" in record else None


@contextlib.contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = error.filename or path
        raise StriateError(f"cannot write {what}: {why_not_written(error)}; the last checkpoint is intact") from error
