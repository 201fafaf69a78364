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

__all__ = ["print_json", "print_table"]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Collection[str] = ()) -> None:
    """Print rows under column names; the columns named in `right` are aligned right.

    On a terminal words fold to its width, and numbers never do; elsewhere it is plain text that nothing is cut from.
    """
    text = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, text, right)
        return
    widths = [max(map(len, column)) for column in zip(columns, *text, strict=True)]
    for row in [list(columns), *text]:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, name, width in zip(row, columns, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def print_json(value: Any) -> None:
    """Print `value` as indented JSON, letters of every language as they are."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


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
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
