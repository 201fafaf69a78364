"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere, nothing when asked.

A bar is drawn at most once a second from the loop itself; no thread of its own competes with the training for a core.
"""

import io
import sys
import time
from typing import Protocol, TextIO, cast, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from striate.data.shown import shown
from striate.pages.wording import plain_percent
from striate.train.report.record import EpochRow

__all__ = ["Reporter", "Silent", "reporter_for", "unless_unheard"]

REDRAW_SECONDS, PLAIN_SECONDS = 1.0, 30.0


class Reporter(Protocol):
    """Told of everything a person may want to see."""

    def note(self, line: str) -> None:
        """One line that stays."""

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Training begins, or goes on after `done` of `steps` updates."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        """A batch is done: running loss and accuracy of the epoch, images/s, share of time spent waiting for data."""

    def epoch(self, row: EpochRow, best: bool) -> None:
        """An epoch is done and validated."""

    def end(self) -> None:
        """Training is over, however it ended."""


def reporter_for(stream: TextIO | None = None, *, quiet: bool = False) -> Reporter:
    """The reporter that suits a stream, standard error as it is now when not given; a closed one is told nothing."""
    stream = stream or sys.stderr
    if quiet or stream is None:
        return Silent()
    heard = unless_unheard(stream)
    return Bar(heard) if heard.isatty() else Lines(heard)


def unless_unheard(stream: TextIO) -> TextIO:
    """`stream`, which swallows what nobody reads any more."""
    return cast(TextIO, Unheard(stream))  # as much of one as print and rich ask for


class Silent:
    """Says nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        """Nothing."""

    def epoch(self, row: EpochRow, best: bool) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


@final
class Unheard(io.TextIOBase):
    """A stream, until nobody reads it: a run does not end because its terminal or pipe was closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._encoding = stream.encoding
        self._is_terminal = stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # as streams have it
        """What the reader expects."""
        return self._encoding

    def isatty(self) -> bool:
        """Whether it was a terminal from the beginning."""
        return self._is_terminal

    def fileno(self) -> int:
        """Of what is written into. Raises OSError where there is none, as other streams do."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        """All of it, as far as anybody knows."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except OSError:
                self._stream = None
        return len(text)

    def flush(self) -> None:
        """The same."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError:
                self._stream = None


class Lines:
    """Plain lines: one for an epoch, and one every half minute within it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._epochs, self._steps = 0, 0
        self._spoke = time.monotonic()

    def note(self, line: str) -> None:
        """The line; what a name in it has besides letters is escaped."""
        print(shown(line), file=self._stream, flush=True)
        self._spoke = time.monotonic()

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Remember how much there is to do."""
        self._epochs, self._steps = epochs, steps

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        """A line when none was printed for a while."""
        if time.monotonic() - self._spoke >= PLAIN_SECONDS:
            waiting = f"  waiting for data {wait:.0%}" if wait >= 0.01 else ""
            self.note(
                f"  epoch {epoch}/{self._epochs}  step {step}/{self._steps}  loss {loss:.4f}  "
                f"accuracy {plain_percent(accuracy, 2)}  {rate:,.0f} images/s{waiting}"
            )

    def epoch(self, row: EpochRow, best: bool) -> None:
        """One line for the epoch."""
        self.note(epoch_line(row, self._epochs, best))

    def end(self) -> None:
        """Nothing: every line is out already."""


class Bar:
    """A progress bar with one kept line for each epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, figures="", visible=False)
        self._epochs = 0
        self._drawn = 0.0

    def note(self, line: str) -> None:
        """Above the bar."""
        self._console.print(shown(line), markup=False)

    def begin(self, epochs: int, steps: int, done: int) -> None:
        """Show the bar."""
        self._epochs = epochs
        self._progress.start()
        self._progress.update(self._task, total=steps, completed=done, visible=True)

    def step(self, epoch: int, step: int, loss: float, accuracy: float, rate: float, wait: float) -> None:
        """Redraw, at most once a second."""
        now = time.monotonic()
        if now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        busy = f"data {wait:.0%}, compute {1 - wait:.0%}"
        figures = f"loss {loss:.3f}  accuracy {accuracy:.1%}  {rate:,.0f} images/s  {busy}"
        self._progress.update(
            self._task, completed=step, description=f"epoch {epoch}/{self._epochs}", figures=figures, refresh=True
        )

    def epoch(self, row: EpochRow, best: bool) -> None:
        """A line above the bar."""
        self.note(epoch_line(row, self._epochs, best))

    def end(self) -> None:
        """Take the bar away; the lines stay."""
        self._progress.stop()


def epoch_line(row: EpochRow, epochs: int, best: bool) -> str:
    """One epoch as a line."""
    parts = [
        f"epoch {row.epoch:>{len(str(epochs))}}/{epochs}",
        f"loss {row.train_loss:.4f}",
        f"accuracy {plain_percent(row.train_accuracy, 2)}",
    ]
    if row.val_loss is not None and row.val_accuracy is not None:
        parts.append(f"validation {row.val_loss:.4f} {plain_percent(row.val_accuracy, 2)}{' *' if best else '  '}")
    parts.append(f"{row.images_per_second:,.0f} images/s")
    parts.append(f"{row.seconds:.1f} s")
    if row.data_wait_share >= 0.01:
        what = f" ({row.waited_for})" if row.waited_for else ""
        parts.append(f"waiting for data {row.data_wait_share:.0%}{what}")
    return "  ".join(parts)
