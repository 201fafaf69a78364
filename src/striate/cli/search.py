"""`striate search`: any setting of `striate train` as one value, a range, or choices; the best of them as a recipe."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import typer
import typer.main

from striate.cli.failure import UsageError
from striate.cli.table import print_json, print_table
from striate.cli.train import train
from striate.errors import StriateError, unknown
from striate.pages.wording import plain_percent, plural

if TYPE_CHECKING:
    from striate.search import Found

__all__ = ["TAKES_SETTINGS", "Given", "read_settings", "search"]

TAKES_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}  # train's flags, and DATA among them

ROWS = 10  # of the table at the end


def search(
    ctx: typer.Context,
    space: Annotated[
        list[str] | None,
        typer.Option("--space", metavar="FILE", help="A space file, or 'lectures'; flags win over it."),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Start from a recipe's settings, by name or file.")] = None,
    sampler: Annotated[
        Literal["random", "grid", "tpe"] | None, typer.Option(help="What draws the trials.  [default: random]")
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(metavar="NxE,…", help="Stages, coarse to fine: trials x epochs.  [default: 40x2,20x6,10x15]"),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="One stage of so many trials.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="One stage of trials of so many epochs.")] = None,
    pruner: Annotated[
        Literal["none", "median", "hyperband"] | None, typer.Option(help="What ends poor trials.  [default: median]")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=0, metavar="K", help="Keep K best models.  [default: 5]")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes, each with its share of the cores.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where trials are kept: sqlite:///…, journal:FILE, mysql://…"),
    ] = None,
    draw: Annotated[int | None, typer.Option("--draw", min=0, help="Another number, other trials.")] = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where search folders are made.")] = Path("searches"),
    name: Annotated[str | None, typer.Option(help="The search's name; not given: net and data.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a search, or join it: DATA is its folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> int:
    """Search settings: give any setting of `striate train` as LOW:HIGH, LOW:HIGH:log, or a,b,c; one value fixes it.

    DATA is what `striate train` takes: a name (digits, mnist, …), a folder, zip, pack or CSV; digits when not given.

    For example: striate search photos/ --lr 1e-4:1e-1:log --weight-decay 1e-6:1e-2:log --optimizer sgd,adamw
    """
    given = read_settings(ctx.args)
    data = given.data
    from striate.search import (
        SearchFolder,
        conclude_plan,
        go_on,
        known_plan,
        prepared,
        resume_hint,
        start_folder,
        view_for,
    )
    from striate.train import reporter_for

    if resume:
        told = [space or None, recipe, sampler, stages, trials, epochs, pruner, keep, storage, draw, name]
        if given.values or given.spaced or any(one is not None for one in told):
            raise UsageError("a search that goes on keeps its plan; only --jobs may change")
        if data is None:
            raise UsageError("--resume needs the search's folder: striate search --resume searches/NAME")
        folder = SearchFolder.open(Path(data))
    else:
        try:
            plan = conclude_plan(
                data,
                given.values,
                given.spaced,
                files=space or (),
                recipe=recipe,
                stages=stages,
                trials=trials,
                epochs=epochs,
                sampler=sampler,
                pruner=pruner,
                keep=keep,
                seed=draw,
            )
        except StriateError as error:
            raise UsageError(str(error)) from error
        SearchFolder.check_free(output, name)
        known_plan(storage, name)  # can it be reached?
        plan, data_name = prepared(plan, jobs, reporter_for(quiet=as_json))
        folder = start_folder(plan, data_name, output=output, name=name, storage=storage)
    view = view_for(folder.plan(), quiet=as_json)
    view.note(f"search {folder.path}, {plural(jobs, 'process', 'processes')}")
    try:
        found = go_on(folder, jobs, view)
    except (KeyboardInterrupt, SystemExit):
        typer.echo(f"interrupted; {resume_hint(folder)}", err=True)
        raise
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    return 0 if found.ranked else 1


@dataclass(frozen=True, kw_only=True)
class Given:
    """DATA, and settings among the flags: `values` have one value, `spaced` (as text) are to be searched."""

    data: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    spaced: dict[str, str] = field(default_factory=dict)


def read_settings(args: Sequence[str]) -> Given:
    """DATA and the flags of `striate train` in `args`, with ranges and choices where it has values.

    >>> given = read_settings(["--lr", "1e-4:0.1:log", "-b", "32", "--no-flip", "--set", "hidden=64,128"])
    >>> given.values, given.spaced
    ({'batch_size': '32', 'flip': False}, {'lr': '1e-4:0.1:log', 'model_settings.hidden': '64,128'})
    """
    options = _train_options()
    values: dict[str, Any] = {}
    spaced: dict[str, str] = {}
    rest, data = list(args), None
    while rest:
        word, equals, text = rest.pop(0).partition("=")
        if word not in options:
            if not word.startswith("-") and data is None:
                data = f"{word}{equals}{text}"
                continue
            if not word.startswith("-"):
                raise UsageError(f"unexpected {word!r} after {data!r}; a setting is given as --name VALUE")
            known = [one for one in options if one.startswith("--")]
            raise UsageError(unknown("option", word, known))
        option, on = options[word]
        if option.is_flag and not (equals or (rest and _is_choice(rest[0]))):
            values[option.name or ""] = on
            continue
        if not equals:
            if not rest:
                raise UsageError(f"{word} needs a value, a range LOW:HIGH or choices a,b,c")
            text = rest.pop(0)
        name = option.name or ""
        if name == "set_net":
            own, equals, text = text.partition("=")
            if not equals or not own.isidentifier():
                raise UsageError(f"--set {own}: expected NAME=VALUE, NAME=LOW:HIGH or NAME=a,b")
            name = f"model_settings.{own}"
        searched = _is_spaced(name, text)
        (spaced if searched else values)[name] = text
        (values if searched else spaced).pop(name, None)
    return Given(data=data, values=values, spaced=spaced)


def _train_options() -> dict[str, tuple[click.Option, bool]]:
    """Each spelling of an option of `striate train` that is a setting, and whether it turns a flag on.

    `--set` is one here: it gives settings of the net.
    """
    alone = typer.Typer()
    alone.command()(train)
    command: Any = typer.main.get_command(alone)
    found: dict[str, tuple[click.Option, bool]] = {}
    for option in command.params:
        if option.name in ("recipe", "config", "resume", "data", "output", "name", "keep", "epochs"):
            continue
        found |= {word: (option, True) for word in option.opts if word.startswith("-")}
        found |= dict.fromkeys(option.secondary_opts, (option, False))
    return found


def _is_choice(word: str) -> bool:
    return word in ("true,false", "false,true")


def _is_spaced(name: str, text: str) -> bool:
    """Whether a text is a range or choices, by its looks; what kind of setting it is for is checked later."""
    if name in ("milestones", "data_dir", "pretrained", "device") or text.startswith("["):
        return False
    return "," in text or text.count(":") in (1, 2)


def _print(found: "Found") -> None:
    from striate.search import value_text

    folder, ranked = found.folder, found.ranked
    if not ranked:
        typer.echo("no trial came to an end with a value; the report says what became of each")
        typer.echo(f"report  {folder.report}")
        return
    names = sorted(found.plan.space)
    rows = [
        [
            one.name,
            *(value_text(one.values[name]) for name in names),
            f"{found.plan.stages[one.stage].epochs}",
            plain_percent(one.value, 2) if one.value is not None else None,
            f"{one.loss:.4f}" if one.loss is not None else None,
        ]
        for one in ranked[:ROWS]
    ]
    columns = ["trial", *(name.rpartition(".")[2] for name in names), "epochs", "validation", "loss"]
    print_table(columns, rows, right=columns)
    typer.echo(f"report  {folder.report}")
    typer.echo(f"recipe  {folder.best}; train it: {_train_command(found)}")
    if found.plan.keep > 1:
        kept = min(found.plan.keep, len(ranked))
        together = f"; together: {_evaluate_command(found, min(3, kept))}" if kept > 1 else ""
        typer.echo(f"models  {kept} best kept{together}")


def _train_command(found: "Found") -> str:
    return shlex.join(["striate", "train", found.plan.settings.data, "--recipe", str(found.folder.best)])


def _evaluate_command(found: "Found", best: int) -> str:
    return shlex.join(["striate", "evaluate", str(found.folder.path), "--best", str(best)])


def _as_json(found: "Found") -> dict[str, Any]:
    from striate.search import all_records

    records = all_records(found.ledger, found.plan)
    return {
        "search": str(found.folder.path),
        "report": str(found.folder.report),
        "recipe": str(found.folder.best) if found.ranked else None,
        "best": found.ranked[0].name if found.ranked else None,
        "stages": [
            {"trials": stage.trials, "epochs": stage.epochs, "said": found.ledger.said(number)}
            for number, stage in enumerate(found.plan.stages)
        ],
        "trials": [
            {
                "trial": one.name,
                "outcome": one.outcome,
                "cause": one.cause or None,
                "values": one.values,
                "val_accuracy": one.value,
                "val_loss": one.loss,
                "curve": [share for _, share in one.curve],
                "seconds": one.seconds,
                "folder": str(found.folder.trials / one.key),
            }
            for one in records
        ],
    }
