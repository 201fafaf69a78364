"""`striate watch`: what ails a run, said again from its log, or while the run goes on."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.table import print_json, print_table
from striate.data.shown import shown
from striate.pages.wording import plain_percent, plural

if TYPE_CHECKING:
    from striate.train.watch import LogTail, Series

__all__ = ["watch"]

POLL_SECONDS = 1.0  # as often as the bar of `striate train` is drawn


def watch(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run's folder.  [default: the newest]")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C stops.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="Print what the last look saw of each layer.")] = False,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the newest run is looked for.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnoses as JSON.")] = False,
) -> None:
    """Say what ails a run, each with its evidence and a remedy; the same rules that `striate train` asks."""
    from striate.train import RunFolder
    from striate.train.watch import LogTail, Series, diagnose

    folder = RunFolder.open(run if run is not None else _newest(output))
    tail, series = LogTail(folder.log), Series()
    series.add(tail.more())
    if as_json:
        print_json([dataclasses.asdict(one) for one in diagnose(series)])
        return
    typer.echo(shown(f"run {folder.path}: {_state(series)}"))
    if follow and series.end is None:
        _follow(tail, series)
        typer.echo(_state(series))
    if layers:
        _print_layers(series)
    found = diagnose(series)
    for one in found:
        typer.echo(f"watch: {one}")
    if not found:
        seen = f"{plural(len(series.epochs), 'epoch')} and {plural(len(series.looks), 'look')}"
        typer.echo(f"watch: nothing ails it, as far as {seen} tell")


def _follow(tail: "LogTail", series: "Series") -> None:
    """Print each epoch as it comes, and each illness once, until the run's last record."""
    from striate.train.watch import diagnose

    told: set[str] = set()
    while series.end is None:
        before = len(series.epochs)
        series.add(tail.more())
        for epoch in series.epochs[before:]:
            right, held = plain_percent(epoch.train_accuracy, 2), ""
            if epoch.val_loss is not None and epoch.val_accuracy is not None:
                held = f"  validation {epoch.val_loss:.4f} {plain_percent(epoch.val_accuracy, 2)}"
            typer.echo(f"epoch {epoch.epoch}  loss {epoch.train_loss:.4f}  accuracy {right}{held}")
        for one in diagnose(series):
            if one.serious and one.illness not in told:
                told.add(one.illness)
                typer.echo(f"watch: {one}")
        if series.end is None:
            time.sleep(POLL_SECONDS)


def _state(series: "Series") -> str:
    """How far it is, or how it ended."""
    if series.end is not None:
        outcome = series.end["outcome"]
        return f"{outcome}: {series.end['sentence'].removeprefix(f'{outcome} ')}"  # of "diverged at step 3: …" the rest
    if series.epochs:
        last = series.epochs[-1]
        return f"under way, or interrupted, after epoch {last.epoch} (step {last.step})"
    return "under way, or interrupted, in its first epoch"


def _print_layers(series: "Series") -> None:
    if not series.looks:
        typer.echo("no look at the layers is in its log (--no-watch, or an older run)")
        return
    look = series.looks[-1]
    typer.echo(f"step {look.step}: gradient {look.gradient:.3g}, middle ratio of update to weight {_short(look.ratio)}")
    print_table(
        ["weights of", "gradient", "update/weight", "rms"],
        [[w["name"], _short(w["gradient"]), _short(w["ratio"]), _short(w["rms"])] for w in look.weights],
    )
    print_table(
        ["outputs of", "kind", "mean", "deviation", "zeros", "dead", "saturated"],
        [
            [a["name"], a["kind"], _short(a["mean"]), _short(a["deviation"])]
            + [_share(a[measure]) for measure in ("zeros", "dead", "saturated")]
            for a in look.activations
        ],
    )
    if look.norms:
        print_table(
            ["batch norm", "shift of the mean", "batch/running deviation"],
            [[n["name"], _short(n["shift"]), _short(n["scale"])] for n in look.norms],
        )


def _short(value: Any) -> str | None:
    return None if value is None else f"{value:.3g}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.0%}"


def _newest(output: Path) -> Path:
    from striate.errors import StriateError
    from striate.train import RunFolder

    newest = RunFolder.newest_in(output)
    if newest is None:
        raise StriateError(f"no run in {output} to watch; give its folder: striate watch RUN")
    return newest
