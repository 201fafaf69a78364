"""`striate pack`: a data set into one file that training maps into memory."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from striate.cli.data import progress_line
from striate.pages.wording import plural

if TYPE_CHECKING:
    from striate.data import Dataset

__all__ = ["pack"]


def pack(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A name (digits, mnist, …), a folder, a zip or a CSV.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.arrow", help="The file to write.")],
    size: Annotated[
        str | None,
        typer.Option(help="Pack pixels: short side (256), or height x width (224x224). Not given: files as they are."),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="Where named sets lie or are downloaded to.")
    ] = None,
    val_fraction: Annotated[
        float, typer.Option(help="Share set aside to choose by, where there is no such part.")
    ] = 0.1,
    test_fraction: Annotated[
        float, typer.Option(help="Share set aside to test on, where there is no such part.")
    ] = 0.2,
    split_seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a file that cannot be used.")] = False,
    workers: Annotated[int, typer.Option("--workers", "-j", min=1, help="Threads that read and resize.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.arrow where it exists.")] = False,
) -> None:
    """Pack a data set into one file; started again after an interruption, it goes on where it stopped."""
    from striate.data import open as open_data
    from striate.data.pack.checked import pack_checked
    from striate.data.pack.size import PackSize

    chosen = None if size is None else PackSize.parse(size)
    started = time.perf_counter()

    def opened(check: bool) -> "Dataset":
        return open_data(
            data,
            data_dir=data_dir,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            split_seed=split_seed,
            strict=strict,
            check=check,
            progress=progress_line(),
        )

    with _bar() as progress:
        found, packed = pack_checked(opened, out, size=chosen, threads=workers, overwrite=overwrite, progress=progress)
    for note in found.notes:
        typer.echo(note, err=True)
    seconds = time.perf_counter() - started
    kind = "as their files' bytes" if packed.form == "encoded" else "as raw pixels"
    resumed = f", {packed.resumed:,} of them by an earlier run" if packed.resumed else ""
    typer.echo(
        f"{out}: {plural(packed.images, 'image')} {kind}{resumed}, {packed.nbytes / 2**20:,.1f} MiB in {seconds:.1f} s"
    )
    typer.echo(f"train on it: striate train {out}")


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal's stderr, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # here, so that --help does not wait for it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(TextColumn("packing"), *columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("packing", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
