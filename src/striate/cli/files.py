"""Files that a command is to write, looked at before it begins."""

from pathlib import Path

from striate.atomic import check_writable
from striate.cli.failure import UsageError

__all__ = ["check_drawing", "check_output"]


def check_output(path: Path | None) -> None:
    """Raise StriateError where a file that is asked for could not be written."""
    if path is not None:
        check_writable(path)


def check_drawing(option: str, path: Path | None) -> None:
    """The same for a picture; UsageError for a name that is no SVG file's."""
    if path is not None and path.suffix.lower() != ".svg":
        raise UsageError(f"{option} {path} is no SVG file; pictures are drawn as SVG: give a name that ends in .svg")
    check_output(path)
