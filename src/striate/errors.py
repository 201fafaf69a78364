"""One error class for what a user can mend: a message that says what, where, and what to do.

The command line prints such a message as its one line on stderr; anything else that escapes is our own bug and
shows its traceback.
"""

import difflib
import errno
from collections.abc import Iterable

__all__ = ["StriateError", "UnknownName", "exhausted", "few", "given", "one_line", "unknown"]

ALLOCATOR = "DefaultCPUAllocator"  # torch's, whose only error is that there is no memory
PRIMITIVE = "could not create a primitive"  # oneDNN's, where it has none for its code; else it adds "descriptor"
LONGEST = 80  # characters of what was given, in a message
MOST = 12  # names that one may choose from, in a message


class StriateError(Exception):
    """The user can act on this: the message is one line that says what was given, what was expected, what to do."""


class UnknownName(StriateError):
    """A name that is none of those there are, as `unknown` says it; on the command line, a call written wrongly."""


def given(value: object) -> str:
    """What was given, as a message shows it: in one line, and of a net or an array no more than its beginning.

    >>> given([1, 2]), given("x" * 200)[-3:]
    ('[1, 2]', 'xx…')
    """
    return one_line(repr(value))


def one_line(said: str, longest: int = LONGEST) -> str:
    """What somebody else says, as part of our line: no line end, nothing that a terminal obeys, no more than that.

    >>> one_line("no such\\nhost \\x1b[31m"), one_line("x" * 9, 3)
    ('no such host ?[31m', 'xxx…')
    """
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(said.split()))
    return f"{plain[:longest]}…" if len(plain) > longest else plain


def few(names: Iterable[str], most: int) -> str:
    """The first of names, with commas between, as many as a message can hold.

    >>> few(["ants", "bees"], 2), few(["ants", "bees", "cats"], 2)
    ('ants, bees', 'ants, bees, …')
    """
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def exhausted(error: BaseException) -> str | None:
    """What the machine has run out of, and what needs less of it; None for an error of another kind.

    torch and threading say so in RuntimeErrors, which are told by their words.

    >>> exhausted(MemoryError())
    'out of memory; smaller batches, images or matrices need less'
    """
    said = str(error)
    lacks_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if lacks_memory or ALLOCATOR in said or said == PRIMITIVE:
        return "out of memory; smaller batches, images or matrices need less"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "no more files can be opened (ulimit -n, or the system's limit); end other processes, or raise it"
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return "out of memory; end other processes"
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return "no more threads can be started (ulimit -u, or the container's limit); end other processes, or raise it"
    return None


def unknown(kind: str, given: str, known: Iterable[str]) -> str:
    """The message for a name that is not in a list, with the nearest name, whatever its case, when there is one.

    >>> unknown("net", "resnet81", ["resnet18", "vgg16"])
    "unknown net 'resnet81'; did you mean 'resnet18'?"
    >>> unknown("net", "VGG-16", ["resnet18", "vgg16"])
    "unknown net 'VGG-16'; did you mean 'vgg16'?"
    >>> unknown("net", "zzz", ["lenet5", "vgg16"])
    "unknown net 'zzz'; choose from lenet5, vgg16"
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    same = [folded[given.casefold()]] if given.casefold() in folded else []
    near = same or difflib.get_close_matches(given, names, n=1)  # as it stands, then whatever its case
    near = near or [folded[name] for name in difflib.get_close_matches(given.casefold(), folded, n=1)]
    if near:
        return f"unknown {kind} {given!r}; did you mean {near[0]!r}?"
    return f"unknown {kind} {given!r}; choose from {few(names, MOST)}"
