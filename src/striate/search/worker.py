"""A process that takes trials from the queue: `python -m striate.search.worker FOLDER JOBS PARENT`.

It goes on until none is left, or until the process PARENT, which began it, is gone. It may be killed at any moment.
Asked to stop (SIGTERM) it saves its trial and puts it back.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import FrameType

from striate.errors import StriateError, exhausted
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Taken
from striate.search.machine import MACHINE_EXIT, machines_doing
from striate.search.materials import Materials
from striate.search.plan import Plan
from striate.search.process import own_name
from striate.search.samplers import pruner_for, sampler_for
from striate.search.space import apply
from striate.search.storage import open_storage
from striate.search.trial import Result, run_trial
from striate.train.process import prepare_process, subnormals_are_zero

__all__ = ["PULSE_SECONDS", "main", "work"]

PULSE_SECONDS = 10.0
POLL_SECONDS = 0.3  # between two looks at an empty queue
SIGTERM_EXIT = 128 + signal.SIGTERM


def main() -> int:
    """Work for the search in a folder. Returns the exit code."""
    path, jobs, parent = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(SIGTERM_EXIT)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the search, which asks us in turn
    folder = SearchFolder.open(path)
    try:
        return work(folder, Ledger(open_storage(folder.storage), folder.name), folder.plan(), jobs, parent)
    except Exception as error:
        reason = machines_doing(error)
        if reason is None:
            raise
        with contextlib.suppress(OSError):  # the log, whose last line the search repeats, is mostly on that disk
            os.write(sys.stderr.fileno(), f"{reason}\n".encode(errors="replace"))
        return MACHINE_EXIT


@subnormals_are_zero()
def work(folder: SearchFolder, ledger: Ledger, plan: Plan, jobs: int, parent: int) -> int:
    """Take and run trials of one stage after another, as they are opened; returns when all are done.

    parent: who began this process, by its own word: it may have gone while torch was still being loaded here.
    """
    prepare_process()
    owner = own_name()
    materials = Materials(plan.settings, processes=jobs)
    for number, stage in enumerate(plan.stages):
        while not ledger.is_open(number):
            if os.getppid() != parent:
                return 1
            time.sleep(POLL_SECONDS)
        sampler, pruner = partial(sampler_for, plan, number), pruner_for(plan, stage)
        while True:
            if os.getppid() != parent:
                return 1
            taken = ledger.take(number, owner, sampler, pruner)
            if taken is None:
                if all(record.ended for record in ledger.records(number)):
                    break
                time.sleep(POLL_SECONDS)
                continue
            if not _run(folder, ledger, plan, taken, materials):
                return SIGTERM_EXIT
    return 0


def _run(folder: SearchFolder, ledger: Ledger, plan: Plan, taken: Taken, materials: Materials) -> bool:
    """One trial, told to the ledger; False when it was interrupted and is back in the queue."""

    def judge(epoch: int, accuracy: float) -> bool:
        if not ledger.owns(taken):  # its folder is another's, too: nothing there may be tidied up
            raise StriateError(f"trial {taken.key} was taken by another process: this one stood still for too long")
        if epoch > taken.told:
            taken.trial.report(accuracy, epoch)
        return epoch < settings.epochs and taken.trial.should_prune()

    began = time.monotonic()
    settings = plan.settings.replace(epochs=plan.stages[taken.stage].epochs)
    with _Pulse(ledger, taken):
        try:
            settings = apply(settings, taken.values)
            keep_model = plan.keep > 0
            result = run_trial(settings, materials, folder.trials / taken.key, judge, keep_model=keep_model)
        except SystemExit:  # asked to stop before the loop could take the signal
            ledger.put_back(taken)
            raise
        except Exception as error:
            if machines_doing(error) is not None:
                ledger.put_back(taken)
                raise
            cause = exhausted(error) or " ".join(f"{type(error).__name__}: {error}".split())
            result = Result(
                outcome="failed",
                cause=cause.removeprefix("StriateError: "),
                seconds=round(time.monotonic() - began, 3),
            )
    if result.outcome == "interrupted":
        ledger.put_back(taken)
        return False
    told = {"loss": result.loss, "seconds": result.seconds, "cause": result.cause, "epoch": result.epoch}
    ledger.finish(taken, result.outcome, result.value, **told)
    return True


class _Pulse:
    """A thread that shows that the process lives, also while a step takes minutes."""

    def __init__(self, ledger: Ledger, taken: Taken) -> None:
        self._ledger, self._taken = ledger, taken
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="striate-pulse", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        count = 0
        while not self._done.wait(PULSE_SECONDS):
            count += 1
            with contextlib.suppress(Exception):  # a storage that is busy now may take the next one
                self._ledger.pulse(self._taken, count)


if __name__ == "__main__":
    sys.exit(main())
