"""A data set as a list: a CSV of `path,label`, with an optional third column `split`.

    path,label,split
    photos/1.jpg,cats,train
    photos/2.jpg,dogs,test

Paths are relative to the CSV. The header may be left out where the first line is plainly a path and a label.
"""

import os
from pathlib import Path, PurePosixPath
from typing import final

from striate.data.formats import EXTENSIONS
from striate.data.layout import CALLED, Layout
from striate.data.parts import PARTS
from striate.data.shown import shown
from striate.data.table import table_rows
from striate.errors import StriateError

__all__ = ["read_list"]

_HEADERS = (["path", "label"], ["path", "label", "split"])


def read_list(path: Path) -> Layout:
    """The list in the CSV at `path`; entries are relative to its folder.

    Raises StriateError, naming file and line, for a line that is not as above or a file listed under two classes.
    """
    parts: dict[str, dict[str, list[str]]] = {}
    first: dict[str, tuple[str, str, int]] = {}  # file → class, part and line where it was listed first
    left_out: list[tuple[str, str]] = []
    real = _RealPaths(path.parent).of
    for line, (entry, label, part) in _rows(path):
        same = real(entry)
        if same not in first:
            first[same] = label, part, line
            parts.setdefault(part, {}).setdefault(label, []).append(entry)
        elif first[same][:2] == (label, part):
            left_out.append((entry, f"is listed again on line {line}"))
        else:
            label_before, part_before, line_before = first[same]
            before, now = _as_said(label_before, part_before), _as_said(label, part)
            raise StriateError(
                f"{path}: {shown(entry)} is {before} on line {line_before} and {now} on line {line}; keep one"
            )
    if not parts:
        raise StriateError(f"{path} lists no image; each line is path,label")
    if "" in parts and len(parts) > 1:
        raise StriateError(f"{path}: some lines have a split and some have none; fill the column, or leave it out")
    named = {"train": parts[""]} if "" in parts else parts
    if "train" not in named:
        raise StriateError(f"{path} lists no image for train; nothing can be trained on")
    return Layout(parts={p: named[p] for p in PARTS if p in named}, left_out=tuple(left_out))


@final
class _RealPaths:
    """Which file an entry names, through whatever links: a folder is looked up once, a file costs one look more."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._folders: dict[str, str] = {}

    def of(self, entry: str) -> str:
        try:
            folder, name = os.path.split(os.path.join(self._root, entry))  # noqa: PTH118  # pathlib takes ten times as long
            if name in ("", ".", ".."):
                return os.path.realpath(os.path.join(folder, name))  # noqa: PTH118  # as above
            real = self._folders.get(folder)
            if real is None:
                real = self._folders[folder] = os.path.realpath(folder)
            path = os.path.join(real, name)  # noqa: PTH118  # as above
            return os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114  # as above
        except ValueError:  # a NUL byte: it is read as any other, and refused there
            return entry


def _as_said(label: str, part: str) -> str:
    return f"{label!r} in {part}" if part else repr(label)


def _rows(path: Path) -> list[tuple[int, tuple[str, str, str]]]:
    """(line number, (entry, label, part or "")) of every line but the header and empty ones."""
    rows: list[tuple[int, tuple[str, str, str]]] = []
    columns = 0
    for line, row in table_rows(path):
        if not columns:
            columns = _columns(path, row)
            if row[0].lower() == "path":
                continue
        rows.append((line, _row(path, line, row, columns)))
    return rows


def _columns(path: Path, row: list[str]) -> int:
    """How many columns the list has, told by its first line."""
    if [cell.lower() for cell in row] in _HEADERS:
        return len(row)
    if len(row) in (2, 3) and PurePosixPath(row[0].replace("\\", "/")).suffix.lower() in EXTENSIONS:
        return len(row)
    raise StriateError(f"{path} begins with {','.join(row)!r}; it should begin with path,label or path,label,split")


def _row(path: Path, line: int, row: list[str], columns: int) -> tuple[str, str, str]:
    if len(row) != columns:
        raise StriateError(f"{path}, line {line}: {len(row)} columns where the first line has {columns}")
    entry, label, *rest = row
    part = rest[0].lower() if rest else ""
    if not entry or not label:
        raise StriateError(f"{path}, line {line}: the {'label' if entry else 'path'} is empty")
    if part and part not in CALLED:
        raise StriateError(f"{path}, line {line}: split is {rest[0]!r}; it is one of {', '.join(CALLED)}, or empty")
    return entry, label, CALLED.get(part, "")
