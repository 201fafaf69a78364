"""Tables for people on a terminal, aligned text for pipes, JSON for programs.

>>> print_table(["net", "params"], [["lenet5", 61_706], ["resnet18", 11_689_512]], right=["params"])
net           params
lenet5        61,706
resnet18  11,689,512
"""

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

from striate.data.shown import shown
from striate.pages.wording import columns_of

__all__ = ["print_json", "print_table"]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Collection[str] = ()) -> None:
    """Print rows under column names; the columns named in `right` are aligned right.

    On a terminal words fold to its width, and numbers never do; elsewhere it is plain text that nothing is cut from. A
    cell is one line: what a name holds besides letters is escaped (see `striate.data.shown`).
    """
    text = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, text, right)
        return
    widths = [max(map(_columns, column)) for column in zip(columns, *text, strict=True)]
    for row in [list(columns), *text]:
        cells = []
        for cell, name, width in zip(row, columns, widths, strict=True):
            blank = " " * (width - _columns(cell))
            cells.append(blank + cell if name in right else cell + blank)
        print("  ".join(cells).rstrip())


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print `value` as JSON, letters of every language as they are where stdout has them; `indent` None: in one line.

    What stdout's encoding lacks, and names that are no UTF-8, are escaped: a program reads the same name back.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    print(text, flush=indent is None)  # lines are read as they come


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> None:
    from rich.box import SIMPLE_HEAD  # here, so that --help does not wait for it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        is_number = name in right
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a class called [red] is a name, not a colour
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(str(value))


def _columns(text: str) -> int:
    return sum(map(columns_of, text))
