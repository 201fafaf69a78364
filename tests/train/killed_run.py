"""A run in a process of its own that kills itself, for real, at a chosen point.

    python killed_run.py SETTINGS.json            start, or go on where the run's folder exists already
                         [--kill POINT:N]         SIGKILL at the N-th time that POINT is passed

Points: `update` (an update is done, not yet counted or saved), `validate` (the epoch's batches are done), `log` (the
epoch is in the log, not in a checkpoint), `tensors` (a checkpoint's tensors are written under their temporary name),
`seal` (they have their name, the seal has not).
"""

import argparse
import json
import os
import signal
from pathlib import Path
from typing import Any

from striate.train import loop, reporter_for, resume, settings_from, start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", type=Path)
    parser.add_argument("--kill", default=None)
    parser.add_argument("--workers", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.kill:
        point, number = arguments.kill.split(":")
        _arm(point, int(number))
    settings = settings_from(json.loads(arguments.settings.read_text()))
    folder = Path(settings.output) / str(settings.name)
    if folder.exists():
        resume(folder, reporter_for(quiet=True), workers=arguments.workers)
    else:
        start(settings, reporter_for(quiet=True))


def _arm(point: str, number: int) -> None:
    """Make the N-th passing of a point the end of this process."""
    passed = 0

    def pass_by() -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str, *, before: bool, when: Any = lambda *a, **k: True) -> None:
        inner = getattr(owner, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            if before and when(*args, **kwargs):
                pass_by()
            result = inner(*args, **kwargs)
            if not before and when(*args, **kwargs):
                pass_by()
            return result

        setattr(owner, name, outer)

    match point:
        case "update":
            around(loop.Trainer, "_update", before=False)
        case "validate":
            around(loop.Trainer, "_validate", before=True)
        case "log":
            around(loop.RunLog, "write", before=False, when=lambda _, event, **__: event == "epoch")
        case "tensors":
            around(os, "replace", before=True, when=lambda _, to: _is_tensors(to))
        case "seal":
            around(os, "replace", before=False, when=lambda _, to: _is_tensors(to))
        case _:
            raise SystemExit(f"no such point: {point}")


def _is_tensors(path: Any) -> bool:
    return Path(path).parent.name == "checkpoints" and Path(path).suffix == ".safetensors"


if __name__ == "__main__":
    main()
