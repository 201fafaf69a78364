"""What a person sees while a search goes on: a live table on a terminal, a line for each ended trial elsewhere."""

import math
import sys
import time
from collections.abc import Sequence
from typing import TextIO, final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from striate.data.shown import shown
from striate.pages.wording import duration, plain_percent, plural
from striate.search.conduct import View
from striate.search.ledger import Ledger, Record
from striate.search.plan import Plan
from striate.search.ranking import ranked
from striate.search.space import value_text
from striate.train.progress import unless_unheard

__all__ = ["view_for"]

BEST_ROWS, LAST_ROWS = 6, 6  # of the live table


def view_for(plan: Plan, stream: TextIO | None = None, *, quiet: bool = False) -> View:
    """The view that suits a stream, standard error unless given; a closed one is told nothing."""
    stream = stream or sys.stderr
    if quiet or stream is None:
        return Nothing()
    heard = unless_unheard(stream)
    return LiveTable(plan, heard) if heard.isatty() else Lines(plan, heard)


@final
class Nothing:
    """Says nothing."""

    def stage(self, stage: int, ledger: Ledger) -> None:
        """Nothing."""

    def look(self, stage: int, records: list[Record]) -> None:
        """Nothing."""

    def note(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@final
class Lines:
    """Plain lines: one when a trial ends."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._plan, self._stream = plan, stream
        self._told: set[tuple[int, int]] = set()
        self._best: Record | None = None

    def stage(self, stage: int, ledger: Ledger) -> None:
        """Its trials and its space."""
        for line in stage_lines(self._plan, stage, ledger):
            self.note(line)

    def look(self, stage: int, records: list[Record]) -> None:
        """A line for each trial that has ended since."""
        width = len(str(len(records)))
        for one in records:
            if not one.ended or (stage, one.number) in self._told:
                continue
            self._told.add((stage, one.number))
            better = one.value is not None and (self._best is None or one.rank < self._best.rank)
            self._best = one if better else self._best
            values = "  ".join(f"{name.rpartition('.')[2]} {value_text(value)}" for name, value in one.values.items())
            seconds = "" if one.seconds is None else f"  {one.seconds:.1f} s"
            done = f"{sum(other.ended for other in records):>{width}}/{len(records)}"
            self.note(f"{done}  trial {one.name}  {values}  {result(one)}{' *' if better else ''}{seconds}")

    def note(self, line: str) -> None:
        """The line; what a name in it has besides letters is escaped."""
        print(shown(line), file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing: every line is out already."""


@final
class LiveTable:
    """The best trials and the latest ones, redrawn as they change."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._plan = plan
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._before: list[Record] = []  # of the stages that are over
        self._began = time.monotonic()
        self._stage, self._records = 0, [*self._before]

    def stage(self, stage: int, ledger: Ledger) -> None:
        """Its space, as lines that stay."""
        self._before += self._records
        self._records = []
        for line in stage_lines(self._plan, stage, ledger):
            self.note(line)
        self._live.start()

    def look(self, stage: int, records: list[Record]) -> None:
        """Redraw."""
        self._stage, self._records = stage, records
        self._live.update(self._picture(), refresh=True)

    def note(self, line: str) -> None:
        """Above the table."""
        self._console.print(shown(line), markup=False)

    def close(self) -> None:
        """Take the table away; the lines stay."""
        self._live.stop()

    def _picture(self) -> Group:
        everything = [*self._before, *self._records]
        best = ranked(everything)[:BEST_ROWS]
        running = [one for one in self._records if one.outcome == "running"]
        ended = [one for one in self._records if one.ended]
        last = [*running, *ended[: -LAST_ROWS - 1 : -1]]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        names = sorted({name for one in everything for name in one.values})
        for name in ("trial", *(name.rpartition(".")[2] for name in names), "epoch", "validation", ""):
            table.add_column(name, justify="left" if name == "" else "right", no_wrap=True, header_style="dim")
        for one in best:
            table.add_row(*self._cells(one, names), style="bold" if one is best[0] else "")
        if best and last:
            table.add_section()
        for one in last:
            if one not in best:
                table.add_row(*self._cells(one, names), style="" if one in running else "dim")
        done, count = len(ended), len(self._records)
        passed = time.monotonic() - self._began
        head = Text(f"stage {self._stage + 1}/{len(self._plan.stages)}  {done}/{count} trials  {duration(passed)}")
        bar = ProgressBar(total=max(1, count), completed=done, width=60)
        return Group(head, bar, Text(), table)  # a bar does not end its line

    def _cells(self, one: Record, names: Sequence[str]) -> list[str]:
        values = [value_text(one.values[name]) if name in one.values else "" for name in names]
        epoch = f"{one.curve[-1][0]}/{self._plan.stages[one.stage].epochs}" if one.curve else ""
        reached = one.value if one.value is not None else one.curve[-1][1] if one.curve else None
        share = "" if reached is None or not math.isfinite(reached) else plain_percent(reached, 2)
        return [one.name, *values, epoch, share, one.outcome if one.outcome != "finished" else ""]


def stage_lines(plan: Plan, stage: int, ledger: Ledger) -> list[str]:
    """What a stage is about to do, and why there."""
    records = ledger.records(stage)
    epochs = plan.stages[stage].epochs
    lines = [
        f"stage {stage + 1} of {len(plan.stages)}: {plural(len(records), 'trial')} of {plural(epochs, 'epoch')}, "
        f"{plan.sampler}, pruner {plan.pruner}"
    ]
    said = ledger.said(stage)
    lines += [f"  {one}" for one in said] or [f"  {name} {one}" for name, one in sorted(ledger.space(stage).items())]
    return lines


def result(one: Record) -> str:
    """What came of a trial, in a few words."""
    if one.value is not None:
        return plain_percent(one.value, 2)
    if one.outcome == "pruned":
        reached = f"{plain_percent(max(share for _, share in one.curve), 2)}, " if one.curve else ""
        return f"{reached}pruned {one.cause}"
    return f"{one.outcome}: {one.cause}" if one.cause else one.outcome
