"""What an error says on the command line, on stderr, and the exit code that goes with it."""

import traceback
from pathlib import Path

import typer

from striate.errors import StriateError, UnknownName, exhausted

__all__ = ["UsageError", "exit_code", "say"]


class UsageError(StriateError):
    """The command was called wrongly: exit code 2, as for an option that does not exist."""


def exit_code(error: Exception) -> int:
    """2 when the command was called wrongly, a name that does not exist among that, else 1."""
    if isinstance(error, typer.TyperException):
        return error.exit_code
    return 2 if isinstance(error, UsageError | UnknownName) else 1


def say(error: Exception) -> str:
    """What went wrong. Only a list of files, which a StriateError may carry, breaks into lines."""
    message = _message(error)
    return message if isinstance(error, StriateError) else " ".join(message.split())


def _message(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, StriateError):
        return str(error)
    if (lacking := exhausted(error)) is not None:
        return lacking
    if isinstance(error, ImportError) and (lacking := _lacking(error)):
        return f"{lacking}, so striate is not wholly installed; `make` in a checkout, or pip install striate, mends it"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error} ({_where(error)}); this is a bug in striate, --debug shows all of it"


def _lacking(error: ImportError) -> str | None:
    """What an installation lacks: a package it needs, as after `pip install --no-deps`, or the core, never built."""
    if "_native" in str(error) and (error.name or "").split(".")[0] == "striate":
        return "the native module is not built"
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] != "striate":
        return f"the module {error.name!r} is missing"
    return None  # a name that a module of ours lacks is a bug


def _usage(error: typer.TyperException) -> str:
    """The parser's message in the manner of the others: lower case, no full stop, "did you mean"."""
    option, near = getattr(error, "option_name", None), getattr(error, "possibilities", ())
    if option and near != ():  # an option that does not exist; `near` is None when no name is like it
        hint = f"did you mean {near[0]!r}?" if near else "--help lists those there are"
        return f"unknown option {option!r}; {hint}"
    message = error.format_message().strip().rstrip(".").replace(": Value error, ", ": ")
    return message[:1].lower() + message[1:]


def _where(error: Exception) -> str:
    """The innermost line of striate that the error went through."""
    package = str(Path(__file__).resolve().parents[1])
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(package)]
    if not ours:
        return "outside striate"
    return f"{Path(ours[-1].filename).relative_to(Path(package).parent)}:{ours[-1].lineno}"
