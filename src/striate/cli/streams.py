"""Standard input, output and error as a command needs them, whatever the process was started with."""

import codecs
import io
import os
import sys

__all__ = ["prepare_streams"]


def prepare_streams() -> None:
    """Open what is closed, and let no letter that a stream lacks end a command."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and _is_strict(stream):
            stream.reconfigure(errors="replace")  # an arrow that the encoding lacks is a question mark


def _open_closed() -> None:
    """What was closed by whoever started us is /dev/null: else the next file that is opened would be standard output,
    and libraries that greet there would write into it (POSIX open(2): the lowest descriptor that is free)."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as we are
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - the same
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - the same


def _is_strict(stream: io.TextIOWrapper) -> bool:
    """Whether it may raise: the C locale without UTF-8 passes on the bytes of file names, but no other letter (PEP
    383); with UTF-8 that way prints them as they are, and nothing is lacking."""
    lacking = codecs.lookup(stream.encoding).name != "utf-8"
    return stream.errors == "strict" or (stream.errors == "surrogateescape" and lacking)
