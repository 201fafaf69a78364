"""The search from its first stage to its last: opens stages, keeps workers alive, and tells what it sees.

It computes nothing itself, and everything it knows is in the storage: it may be killed and begun again, and several
may work on one search at once, on one machine or many.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, final

from striate.errors import StriateError
from striate.search.draws import stage_points
from striate.search.folder import SearchFolder, resume_hint
from striate.search.ledger import Ledger, Record
from striate.search.machine import MACHINE_EXIT
from striate.search.narrow import narrow
from striate.search.plan import Plan, to_toml
from striate.search.ranking import all_records, thin_out
from striate.search.space import Space

__all__ = ["Team", "View", "conduct", "share_of_threads"]

LOOK_SECONDS = 1.0
GRACE_SECONDS = 120.0  # a dozen pulses: a machine that swaps is slow, not dead
STOP_SECONDS = 60.0  # for a worker to finish its step and save
DEATHS = 3  # times that each worker may die, without a trial coming to an end in between
HOPELESS = 5  # trials that all failed: the next hundred will, too


class View(Protocol):
    """Told of everything a person may want to see."""

    def stage(self, stage: int, ledger: Ledger) -> None:
        """A stage is open."""

    def look(self, stage: int, records: list[Record]) -> None:
        """Where its trials stand; called about once a second."""

    def note(self, line: str) -> None:
        """One line that stays."""

    def close(self) -> None:
        """The search is over, however it ended."""


def conduct(folder: SearchFolder, ledger: Ledger, plan: Plan, jobs: int, view: View) -> None:
    """Run every stage to its end with `jobs` processes. Raises StriateError where no trial can succeed.

    Interrupted (KeyboardInterrupt, SystemExit), it lets the workers save their trials before it goes on unwinding.
    """
    with contextlib.closing(view), contextlib.ExitStack() as after:
        after.callback(_recover_all, ledger, plan)  # once the workers have gone
        team = after.enter_context(_team(folder, plan, jobs))
        for number in range(len(plan.stages)):
            open_next(ledger, plan, number)
            view.stage(number, ledger)
            _finish_stage(folder, ledger, plan, number, team, view)


def open_next(ledger: Ledger, plan: Plan, number: int) -> None:
    """Open stage `number`, whose space follows from the trials of the one before, and from the plan."""
    if ledger.is_open(number):
        return
    stage = plan.stages[number]
    space: Space = plan.space
    said: tuple[str, ...] = ()
    if number > 0:
        tried = [(one.values, one.value) for one in ledger.records(number - 1) if one.value is not None]
        left = {name: one for name, one in ledger.space(number - 1).items() if name not in stage.space}
        found = narrow(left, tried, plan.settings)
        space, said = found.space, found.said
    said = (*said, *(f"{name} {one}, as the plan says" for name, one in sorted(stage.space.items())))
    space = {**space, **stage.space}
    points = stage_points(space, stage.trials, plan.sampler, plan.seed, number)
    ledger.open_stage(number, space, points, said, to_toml(plan))


def _recover_all(ledger: Ledger, plan: Plan) -> None:
    """Put back what a worker that would not stop has left."""
    for number in range(len(plan.stages)):
        if ledger.is_open(number):
            ledger.recover(number, GRACE_SECONDS)


def share_of_threads(jobs: int) -> int:
    """Threads that compute in each of `jobs` processes on the cores that this one may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)


def _finish_stage(folder: SearchFolder, ledger: Ledger, plan: Plan, number: int, team: "Team", view: View) -> None:
    known = 0
    while True:
        for record in ledger.recover(number, GRACE_SECONDS):
            view.note(f"trial {record.name} lost its worker; it goes on from its last checkpoint")
        records = ledger.records(number)
        view.look(number, records)
        ended = [record for record in records if record.ended]
        if number == 0 and len(ended) >= HOPELESS and all(record.outcome == "failed" for record in ended):
            raise StriateError(f"the first {len(ended)} trials failed; trial {ended[0].name}: {ended[0].cause}")
        if len(ended) == len(records):
            return
        if len(ended) > known:
            known = len(ended)
            thin_out(folder, plan, all_records(ledger, plan))
        team.keep_up(known)
        time.sleep(LOOK_SECONDS)


@final
class Team:
    """Worker processes; one that dies is replaced."""

    def __init__(self, folder: SearchFolder, jobs: int, threads: int | None) -> None:
        self._folder, self._jobs = folder, jobs
        self._threads = threads or share_of_threads(jobs)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._deaths, self._ended = 0, 0

    def keep_up(self, ended: int) -> None:
        """Start what is missing. ended: trials that have come to an end; a death after that is the first again."""
        if ended != self._ended:
            self._deaths, self._ended = 0, ended
        for index in range(self._jobs):
            process = self._running.get(index)
            if process is not None and process.poll() is None:
                continue
            if process is not None and process.returncode == MACHINE_EXIT:
                reason = self._last_line(index) or "a worker cannot write: the disk is full, or its storage away"
                raise StriateError(f"{reason}; mend that, then {resume_hint(self._folder)}")
            if process is not None and process.returncode != 0:
                self._deaths += 1
                if self._deaths > DEATHS * self._jobs:  # all of them may be killed at once
                    raise StriateError(f"workers die one after another: {self._last_words(index, process.returncode)}")
            self._running[index] = self._start(index)

    def stop(self) -> None:
        """Ask all to save and leave; end those that do not."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        told = [str(self._folder.path), str(self._jobs), str(os.getpid())]
        command = [sys.executable, "-m", "striate.search.worker", *told]
        threads = str(self._threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        with self._words(index).open("ab") as words:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
            )

    def _words(self, index: int) -> Path:
        self._folder.workers.mkdir(exist_ok=True)
        return self._folder.workers / f"{index}.log"

    def _last_words(self, index: int, code: int) -> str:
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{ended}; {self._last_line(index) or 'it said nothing'} ({self._words(index)})"

    def _last_line(self, index: int) -> str:
        text = self._words(index).read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@contextlib.contextmanager
def _team(folder: SearchFolder, plan: Plan, jobs: int) -> Iterator[Team]:
    team = Team(folder, jobs, plan.settings.threads)
    try:
        yield team
    finally:
        team.stop()
