"""The log of a run: `log.jsonl`, always, and TensorBoard events.

The JSON lines are part of the state. A checkpoint remembers how long the log was when it was saved, and resume cuts it
back to there, so a run that was killed and resumed leaves the same records as one that never was (but for times).

TensorBoard's writer is a thread, which costs a training step more than the writing itself when both want the
interpreter's lock (docs/design/training.md). So points are kept until `sync`, when nothing trains.
"""

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.atomic import sync_folder
from striate.errors import StriateError

__all__ = ["RunLog", "read_log"]


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
        self._boards = _event_writer(Path(folder) / "tensorboard", purge_step) if tensorboard else None
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
            self._hand_over()
        if self._boards is not None:
            self._boards.close()
        self._file.close()

    def _hand_over(self) -> None:
        """The points kept so far, to TensorBoard's file."""
        if self._boards is None:
            self._points.clear()
            return
        for name, value, step, when in self._points:
            self._boards.add_scalar(name, value, step, walltime=when)
        for name, (low, high, counts), step, when in self._histograms:
            width = (high - low) / len(counts)
            middles = [low + (i + 0.5) * width for i in range(len(counts))]
            self._boards.add_histogram_raw(
                name,
                min=low,
                max=high,
                num=sum(counts),
                sum=sum(n * x for n, x in zip(counts, middles, strict=True)),
                sum_squares=sum(n * x * x for n, x in zip(counts, middles, strict=True)),
                bucket_limits=[low + (i + 1) * width for i in range(len(counts))],
                bucket_counts=list(counts),
                global_step=step,
                walltime=when,
            )
        self._boards.flush()
        self._points.clear()
        self._histograms.clear()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; a last line cut short by a kill is left out."""
    path = Path(folder) / "log.jsonl"
    if not path.is_file():
        raise StriateError(f"{folder} is not a run: it has no log.jsonl")
    records = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):  # no JSON, or no text at all
            records.append(json.loads(line))
    return records


def _event_writer(folder: Path, purge_step: int | None) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # a second to import: only when a run starts

    return SummaryWriter(str(folder), purge_step=purge_step)


@contextlib.contextmanager
def _clear_errors(path: Path) -> Any:
    try:
        yield
    except OSError as error:
        raise StriateError(f"cannot write {path}: {error.strerror}; the last checkpoint is intact") from error
