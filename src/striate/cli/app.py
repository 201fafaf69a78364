"""The commands put together, and what becomes of an error or a signal.

Exit codes: 0, 1 failure, 2 usage, 129 after SIGHUP, 130 after SIGINT, 143 after SIGTERM. An error is one line on
stderr, `striate train: error: …`; the traceback is shown with `--debug`, which any command takes.

Nothing here imports torch: `--help` and completion answer before it would have loaded.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
import typer.core
import typer.main

import striate
from striate.cli import (
    bench,
    check,
    convert,
    data,
    doctor,
    evaluate,
    inspect,
    models,
    pack,
    predict,
    recipes,
    search,
    train,
    transfer,
    watch,
)
from striate.cli.failure import UsageError, exit_code, say
from striate.cli.streams import prepare_streams
from striate.errors import unknown

__all__ = ["app", "main"]

SIGINT_EXIT = 128 + signal.SIGINT  # 130: what a shell reports for a command that a signal ended
LONGEST_SENTENCE = 1000  # characters: none is cut


class Commands(typer.core.TyperGroup):
    """A group of commands: called alone it shows its help, called with a name it lacks it says the nearest one."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Print the help, as a usage error, when there is nothing to parse."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Each command with the whole first sentence of its help, folded: the parser's own way cuts it at one line."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(limit=LONGEST_SENTENCE)) for name, each in self.commands.items()]
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command called `args[0]`; UsageError when there is none."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise UsageError(unknown("command", args[0], self.commands))
        return super().resolve_command(ctx, args)


app = typer.Typer(name="striate", cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(train.train)
app.command()(watch.watch)
app.command()(transfer.transfer)
app.command()(check.check)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.add_typer(data.app, name="data", cls=Commands)
app.command()(pack.pack)
app.command()(models.models)
app.command()(inspect.inspect)
app.command()(convert.convert)
app.command()(recipes.recipes)
app.command(context_settings=search.TAKES_SETTINGS, options_metavar="[DATA] [OPTIONS] [SETTINGS OF TRAIN]")(
    search.search
)
app.add_typer(bench.app, name="bench", cls=Commands)
app.add_typer(doctor.app, name="doctor")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"striate {striate.__version__}")
        raise typer.Exit


@app.callback(context_settings={"help_option_names": ["-h", "--help"]})
def _striate(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="With any command: show the traceback of an error.")] = False,
) -> None:
    """ConvNets in practice: a folder of images to a trained, measured, explained and deployed ConvNet."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command, by default the one the process was started with, and return its exit code."""
    given, debug = _without_debug(list(sys.argv[1:] if args is None else args))
    command = typer.main.get_command(app)
    prepare_streams()
    try:
        _check_instruction_set()
        with _signals_as_exit():
            code = command.main(given, prog_name="striate", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return SIGINT_EXIT
    except Exception as error:
        if debug:
            traceback.print_exc()
        typer.echo(f"{_command_path(command, given)}: error: {say(error)}", err=True)
        return exit_code(error)


def _without_debug(args: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, which may stand anywhere before a `--`, and whether it was there."""
    end = args.index("--") if "--" in args else len(args)
    kept = [arg for arg in args[:end] if arg != "--debug"]
    return kept + args[end:], len(kept) < end


def _check_instruction_set() -> None:
    """STRIATE_ISA is the user's word: a wrong one is a usage error, whatever the command first computes."""
    if not os.environ.get("STRIATE_ISA"):
        return
    from striate import _native

    try:
        _native.isa()
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextlib.contextmanager
def _signals_as_exit() -> Iterator[None]:
    """SIGTERM, and SIGHUP where it would end the process, unwind as an exception does, so that no temporary file stays
    and no worker is left alone; training sets handlers of its own."""

    def stop(number: int, frame: types.FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not under nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _command_path(command: Any, args: Sequence[str]) -> str:
    """`striate data check` for the arguments `data check photos/`."""
    names = ["striate"]
    for arg in args:
        command = getattr(command, "commands", {}).get(arg)
        if command is None:
            break
        names.append(arg)
    return " ".join(names)
