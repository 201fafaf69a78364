"""The lines of a CSV file, as lists of images and tables of weights are written."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from striate.errors import StriateError

__all__ = ["table_rows"]


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped cells) of every line that holds something; in quotes a cell may go over several lines.

    Raises StriateError, naming the line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets put a byte-order mark in front
    except UnicodeDecodeError as error:
        raise StriateError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)  # not `splitlines`: it knows ends that no file has
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise StriateError(f"{path}, line {reader.line_num}: {error}") from error
