"""`striate data`: what a data set holds, and which of its files cannot be used."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.data_show import show
from striate.cli.table import print_json, print_table
from striate.data.shown import shown
from striate.pages.wording import plural

if TYPE_CHECKING:
    from striate.data import Samples

__all__ = ["app", "check", "info", "progress_line"]

MEASURED = 1000  # images whose size is looked at: a thousand, evenly spaced, tell what a million would

app = typer.Typer(help="Look at a data set before training on it.", rich_markup_mode=None)
app.command()(show)

Data = Annotated[str, typer.Argument(metavar="DATA", help="A name (digits, mnist, …), a folder, zip, pack or CSV.")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Where named sets lie or are downloaded to.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def info(
    data: Data,
    data_dir: DataDir = None,
    val_fraction: Annotated[
        float, typer.Option(help="Share set aside to choose by, where there is no such part.")
    ] = 0.1,
    test_fraction: Annotated[
        float, typer.Option(help="Share set aside to test on, where there is no such part.")
    ] = 0.2,
    as_json: Json = False,
) -> None:
    """Show classes, images in each part, and image sizes."""
    from striate.data import class_counts
    from striate.data import open as open_data

    found = open_data(
        data,
        data_dir=data_dir,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        check=False,
        progress=progress_line(),
    )
    counts = {name: class_counts(part, found.classes) for name, part in found.parts.items()}
    sizes = _sizes(list(found.parts.values()))
    if as_json:
        print_json(
            {"name": found.name, "classes": found.classes, "parts": counts, "sizes": sizes, "notes": found.notes}
        )
        return
    rows: list[list[Any]] = [[cls, *(part[cls] for part in counts.values())] for cls in found.classes]
    rows.append(["total", *(sum(part.values()) for part in counts.values())])
    print_table(["class", *counts], rows, right=list(counts))
    print(f"\n{len(found.classes)} classes; {_describe(sizes)}")
    for note in found.notes:
        print(note)


@app.command()
def check(
    data: Data,
    data_dir: DataDir = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a file cannot be used.")] = False,
    as_json: Json = False,
) -> int:
    """Decode every file; name those that cannot be used, and copies in two parts or classes; of a pack, checksums."""
    from striate.data import open as open_data
    from striate.data.pack.found import find_packs

    if packs := find_packs(data):
        return _check_packs(data, packs, as_json)
    found = open_data(data, data_dir=data_dir, check=True, progress=progress_line())
    images = sum(len(part) for part in found.parts.values())
    if as_json:
        problems = [{"name": problem.name, "reason": problem.reason} for problem in found.problems]
        print_json({"name": found.name, "images": images, "problems": problems, "notes": found.remarks})
    else:
        for told in (*found.problems, *found.remarks):
            print(told)
        cannot = plural(len(found.problems), "file")
        print(f"{shown(data)}: {plural(images, 'image')} can be used, {cannot} cannot")
    return 1 if strict and found.problems else 0


def _check_packs(data: str, packs: list[Path], as_json: bool) -> int:
    """A damaged pack is a failure, strict or not: nothing of it is left out when it is trained on."""
    from striate.data.pack.check import check_pack

    tell = progress_line()
    counted = None if tell is None else lambda done, total: tell("checking", done, total)
    problems = [problem for path in packs for problem in check_pack(path, counted)]
    if as_json:
        print_json({"name": data, "problems": [{"name": one.name, "reason": one.reason} for one in problems]})
    else:
        for problem in problems:
            print(problem)
        told = "every checksum is right" if not problems else f"{len(problems):,} damaged; pack it again"
        print(f"{shown(data)}: {told}")
    return 1 if problems else 0


def _sizes(parts: list["Samples"]) -> dict[str, Any]:
    """Smallest, median and largest height and width (px, by area) of up to MEASURED images, and how many failed."""
    from striate.data import BadImage

    everything = [(part, index) for part in parts for index in range(len(part))]
    shapes, bad = [], 0
    for part, index in everything[:: max(1, len(everything) // MEASURED)]:
        try:
            shapes.append(part.pixels(index, 3).shape[:2])
        except BadImage:
            bad += 1
    shapes.sort(key=lambda shape: shape[0] * shape[1])
    chosen = {"smallest": 0, "median": len(shapes) // 2, "largest": -1} if shapes else {}
    return {"measured": len(shapes), "unreadable": bad, **{name: list(shapes[at]) for name, at in chosen.items()}}


def _describe(sizes: dict[str, Any]) -> str:
    """The sizes as a phrase, width before height as people say it."""
    if not sizes["measured"]:
        return "no image can be read"
    small, middle, large = (f"{sizes[key][1]}×{sizes[key][0]}" for key in ("smallest", "median", "largest"))
    span = f"all {small} px" if small == large else f"{small} to {large} px, half of them up to {middle}"
    unreadable = f", {sizes['unreadable']} unreadable (`striate data check` names them)" if sizes["unreadable"] else ""
    return f"{plural(sizes['measured'], 'image')} measured: {span}{unreadable}"


def progress_line() -> Callable[[str, int, int], None] | None:
    """A line that counts on a terminal's stderr, and nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(doing: str, done: int, total: int) -> None:
        of = f" of {total:,}" if total else ""  # a download does not always say how long it is
        print(f"\r{doing} {done:,}{of}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
