"""The command line: thin layers that parse, call and print. `main` is what `striate` runs."""

import signal
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run one command, by default the one the process was started with, and return its exit code."""
    try:
        from striate.cli.app import main as run  # half a second, in which Ctrl-C is no traceback either

        code = run(args)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    if args is None and code == 128 + signal.SIGINT:  # nothing is left to do, and an impatient hand presses again
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code
