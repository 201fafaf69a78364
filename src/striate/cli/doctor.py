"""`striate doctor`: what this machine has, and what striate will do with it."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli import doctor_data
from striate.cli.table import print_json, print_table
from striate.pages.wording import plural

if TYPE_CHECKING:
    from striate.doctor import Facts

__all__ = ["app", "doctor"]

GIB = 2**30

app = typer.Typer(rich_markup_mode=None)
app.command(name="data")(doctor_data.data)


@app.callback(invoke_without_command=True)
def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what this machine has and what striate does with it."""
    if ctx.invoked_subcommand is not None:
        return
    from striate.doctor import examine, plan, warnings

    facts = examine()
    if as_json:
        print_json({**dataclasses.asdict(facts), "bf16": facts.bf16, "plan": plan(facts), "warnings": warnings(facts)})
        return
    print_table(["", ""], _rows(facts))
    print("\nWhat striate will do with it")
    for sentence in plan(facts):
        print(f"  {sentence}")
    if warnings(facts):
        print("\nWarnings")
        for sentence in warnings(facts):
            print(f"  {sentence}")


def _rows(facts: "Facts") -> list[list[Any]]:
    cores = plural(facts.cores, "core") + (f", {facts.quota:g} granted" if facts.quota is not None else "")
    threads = plural(facts.threads, "thread")
    shown = [name for name in facts.features if name.startswith(("avx", "fma", "amx", "asimd", "sve", "bf16", "neon"))]
    rows: list[list[Any]] = [
        ["CPU", f"{facts.cpu} ({facts.architecture}), {cores}"],
        ["features", " ".join(shown)],
        ["kernels", facts.isa],
        ["memory", _gib(facts.free_memory_nbytes, facts.memory_nbytes)],
        ["GPU", ", ".join(f"{gpu.name} ({gpu.nbytes / GIB:.0f} GiB)" for gpu in facts.gpus) or None],
        ["torch", f"{facts.torch}, {threads}, oneDNN {'yes' if facts.onednn else 'no'}"],
        ["bf16", f"native ({facts.bf16})" if facts.bf16 else "not native on this CPU"],
        ["disk", f"{facts.free_disk_nbytes / GIB:.1f} GiB free in {facts.folder}"],
        ["system", facts.system],
        ["Python", facts.python],
        ["packages", ", ".join(f"{name} {version}" for name, version in facts.packages.items()) or None],
    ]
    return rows + [[name, value] for name, value in facts.environment.items()]


def _gib(free: int | None, total: int | None) -> str | None:
    if free is None or total is None:
        return None
    return f"{free / GIB:.1f} GiB free of {total / GIB:.1f}"
