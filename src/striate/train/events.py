"""TensorBoard's event files, written by the thread that has something to say.

TensorBoard's own writer is a thread: what it fails to write is printed there with a traceback, raised elsewhere at some
later call, and of another file. A record is eight bytes of length and their sum, the event, and its sum; the sums and
the events' form are TensorBoard's (tensorboard.summary.writer.record_writer).
"""

import io
import itertools
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from striate.atomic import make_folder

__all__ = ["EventFile"]

_numbers = itertools.count()  # two files of one process and one second


@final
class EventFile:
    """A new event file in `folder`. `purge_step`: what earlier files say of this step and later ones no longer holds.

    Raises OSError, with the file's name, when it cannot be written.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog  # type: ignore[import-untyped]  # it ships no stubs
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]  # the same

        begun = int(time.time())
        name = f"events.out.tfevents.{begun:010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self.path = folder / name
        self._unwritten = io.BytesIO()
        self._records: Any = RecordWriter(self._unwritten)
        make_folder(folder)
        self._add(time.time(), file_version="brain.Event:2")  # by which readers know the form
        if purge_step is not None:
            self._add(time.time(), step=purge_step, session_log=SessionLog(status=SessionLog.START))
        self.write()

    def scalar(self, step: int, when: float, name: str, value: float) -> None:
        """One number; reaches the file at `write`."""
        from torch.utils.tensorboard.summary import scalar  # a second to import: only when a run starts

        self._add(when, step=step, summary=scalar(name, value))  # type: ignore[no-untyped-call]  # torch's

    def histogram(self, step: int, when: float, name: str, low: float, high: float, counts: Sequence[int]) -> None:
        """How many values lie in each of equally wide bins; reaches the file at `write`."""
        from torch.utils.tensorboard.summary import histogram_raw

        width = (high - low) / len(counts)
        middles = [low + (i + 0.5) * width for i in range(len(counts))]
        summary = histogram_raw(  # type: ignore[no-untyped-call]  # torch's
            name,
            min=low,
            max=high,
            num=sum(counts),
            sum=sum(n * x for n, x in zip(counts, middles, strict=True)),
            sum_squares=sum(n * x * x for n, x in zip(counts, middles, strict=True)),
            bucket_limits=[low + (i + 1) * width for i in range(len(counts))],
            bucket_counts=list(counts),
        )
        self._add(when, step=step, summary=summary)

    def write(self) -> None:
        """All of it into the file, once: what a full disk has not taken is not tried again."""
        data = self._unwritten.getvalue()
        self._unwritten.seek(0)
        self._unwritten.truncate()
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def _add(self, when: float, **what: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=when, **what).SerializeToString())
