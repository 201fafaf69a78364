"""What the commands of `striate bench` have in common: what is checked before, done row by row, and told after."""

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from striate.cli import bench_tables
from striate.cli.failure import UsageError
from striate.cli.files import check_drawing, check_output
from striate.cli.table import print_json
from striate.errors import StriateError, unknown

if TYPE_CHECKING:
    from striate.bench.conv import Row
    from striate.bench.peers import Peer

__all__ = [
    "begin",
    "check_choice",
    "check_files",
    "draw",
    "kept",
    "peer_named",
    "row_by_row",
    "tell",
    "told",
    "wrong_calls",
]

Measured = TypeVar("Measured")

BUSY = 0.1  # of all cores: a convolution on every core waits for the one that shares its own


def begin(names: str | None, threads: int | None) -> tuple[list["Peer"], Any, int]:
    """The peers, the machine, and the number of threads; before them everything that a wrong call can be told."""
    from striate.bench.facts import machine
    from striate.bench.peers import chosen

    peers, missing = chosen(names)
    for sentence in missing:
        typer.echo(sentence, err=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = threads or cores
    here = machine(count, peers)
    if here.others is not None and here.others > BUSY:
        share = f"{here.others:.0%} of this machine's cores are taken by other programs"
        typer.echo(f"{share}: times will be worth little; look at the quartiles, or wait", err=True)
    return peers, here, count


def row_by_row(
    layers: Any,
    batches: list[int],
    peers: list["Peer"],
    threads: int,
    rounds: int,
    passes: Any,
    precision: Any,
    algorithm: str,
    layouts: Any,
) -> Iterator["Row"]:
    """The rows of one pass after the other, each told as it comes."""
    from striate.bench.conv import measure

    measured = itertools.chain.from_iterable(
        measure(
            layers,
            batches,
            peers,
            threads=threads,
            rounds=rounds,
            which=which,
            precision=precision,
            algorithm=algorithm,
            layouts=layouts,
        )
        for which in passes
    )
    return told(measured, len(passes) * len(layers) * len(batches), bench_tables.in_short)


def told(measured: Iterable[Measured], count: int, in_short: Callable[[Measured], str]) -> Iterator[Measured]:
    """The same, with a line for each as it comes."""
    for number, row in enumerate(measured, start=1):
        print(f"[{number}/{count}] {in_short(row)}", file=sys.stderr, flush=True)
        yield row


def kept(
    measured: Iterable[Measured], output: Path | None, record: Callable[[list[Measured]], dict[str, Any]]
) -> tuple[list[Measured], dict[str, Any]]:
    """All rows, and their record. It is written row by row: a run that is cut off leaves what it has measured."""
    rows: list[Measured] = []
    for row in measured:
        rows.append(row)
        if output is not None:
            _write(output, json.dumps(record(rows), indent=1, ensure_ascii=False) + "\n")
    return rows, record(rows)


def tell(record: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        print_json(record)
    else:
        show()


def draw(plot: Path | None, picture: Callable[[], str], *, timed: bool) -> None:
    """The picture, if it is asked for and there is anything to see."""
    if plot is None:
        return
    if timed:
        _write(plot, picture())
    else:
        typer.echo(f"nothing was timed: {plot} is not drawn", err=True)


def _write(path: Path, text: str) -> None:
    from striate.atomic import write_bytes

    write_bytes(path, text.encode("utf-8"))


def check_files(output: Path | None, plot: Path | None = None) -> None:
    """What is to be written after the measuring can be."""
    check_output(output)
    check_drawing("--plot", plot)


def peer_named(name: str) -> str:
    from striate.bench.peers import PEERS

    check_choice("--peer", name, PEERS)
    return name


@contextlib.contextmanager
def wrong_calls() -> Iterator[None]:
    """What is wrong with a pattern or a key is wrong with the call."""
    try:
        yield
    except StriateError as error:
        raise UsageError(str(error)) from error


def check_choice(option: str, given: str, known: Any) -> None:
    if given not in known:
        raise UsageError(unknown(option, given, known))
