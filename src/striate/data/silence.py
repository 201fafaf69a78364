"""Pillow's warnings kept off the user's terminal while images are decoded, from any number of threads.

`warnings.catch_warnings` swaps the process's list of filters and is not for threads (Python 3.11 documentation,
"warnings"). Here the first decoder to enter puts one filter in and the last to leave takes it out; nothing else is
touched. What a warning would have said of the pixels is said by an error instead.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator

__all__ = ["silence"]

_FILTER = r"PIL\."  # the module that warns


class _Silence:
    """How many decoders are inside, under a lock; the filter is there while the number is not zero."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._entry: object = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                warnings.filterwarnings("ignore", module=_FILTER)
                self._entry = warnings.filters[0]

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                with contextlib.suppress(ValueError):  # somebody has replaced the whole list meanwhile
                    warnings.filters.remove(self._entry)  # type: ignore[attr-defined]  # typeshed says Sequence, it is a list


_silence = _Silence()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No warning out of Pillow while the block runs."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
