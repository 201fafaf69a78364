"""The page that `striate inspect --html` writes: everything in one file that needs nothing and asks for nothing.

It wears the report's style sheet, which is dark where the reader's screen is, and reads on a telephone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from striate.atomic import write_bytes
from striate.cli.inspect_drawing import draw
from striate.nets.inspect import CostRow, Memory, ModuleCost
from striate.pages.document import document
from striate.pages.svg import escape
from striate.pages.wording import DASH, compact, memory, plural, whole

__all__ = ["page", "write_page"]

WIDE = (  # drawings of nets keep their width, and scroll
    "figure.net svg { max-width: none; } figure.net { overflow-x: auto; } figure.net svg { min-width: 34rem; }"
)
HEADS = ("output", "parameters", "MACs", "FLOPs", "made", "kept", "FLOPs / byte", "sees px", "every px")


def write_page(path: Path, found: Sequence[tuple[ModuleCost, Memory]]) -> None:
    """Write the page to `path`, whole or not at all. Raises StriateError when it cannot be written."""
    write_bytes(path, page(found).encode("utf-8"))


def page(found: Sequence[tuple[ModuleCost, Memory]]) -> str:
    """The page as HTML."""
    names = ", ".join(cost.name for cost, _ in found)
    side_by_side = f"<section>{_compared(found)}</section>" if len(found) > 1 else ""
    sections = "".join(_section(cost, needs, f"net{i}") for i, (cost, needs) in enumerate(found))
    return document(f"{names}: cost", "striate inspect", names, f"{side_by_side}{sections}", extra_style=WIDE)


def _section(cost: ModuleCost, needs: Memory, key: str) -> str:
    shape = "×".join(map(str, cost.input_shape))
    unknown = "".join(
        f'<p class="outcome alarm">The cost of {_text(op.name)} is unknown and not counted: {op.calls} calls, in '
        f"{_text(', '.join(op.modules))}.</p>"
        for op in cost.unknown
    )
    return (
        f"<section><h2>{_text(cost.name)}, input {shape}</h2>{_figures(cost, needs)}{unknown}"
        f'<h3>Stages</h3><figure class="net">{draw(cost, key)}</figure>{_table(cost.stages, cost.total)}'
        f"<details><summary>Every layer</summary>{_table(cost.layers, cost.total)}</details>"
        f"<details><summary>Every operator</summary>{_table(cost.operators, cost.total)}</details></section>"
    )


def _figures(cost: ModuleCost, needs: Memory) -> str:
    doing = f"{'training' if needs.training else 'inference'}, batch of {needs.batch_size}, {needs.precision}"
    shown = (
        ("Parameters", compact(cost.total.params), whole(cost.total.params)),
        ("Multiply-adds", compact(cost.total.macs), f"{compact(cost.total.flops)} FLOPs"),
        ("Peak memory", memory(needs.peak_nbytes), doing),
        *((name.capitalize(), memory(nbytes), "of that") for name, nbytes in needs.at_peak.items() if nbytes),
    )
    cells = "".join(f"<div><dt>{a}</dt><dd>{_text(b)}<small>{_text(c)}</small></dd></div>" for a, b, c in shown)
    return f'<dl class="figures">{cells}</dl>'


def _table(rows: Sequence[CostRow], total: CostRow) -> str:
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    body = "".join(_row(row, "td") for row in rows)
    foot = _row(total, "td")
    return (
        f'<div class="scroll"><table><thead><tr><th>name</th><th class="text">what</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody><tfoot>{foot}</tfoot></table></div>"
    )


def _row(row: CostRow, cell: str) -> str:
    what = plural(row.calls, "call") if row.kind in ("stage", "operator", "everything") else row.kind
    values: list[Any] = [
        "×".join(map(str, row.output_shape)) or DASH,
        whole(row.params),
        compact(row.macs),
        compact(row.flops),
        memory(row.made_nbytes),
        memory(row.kept_nbytes) if row.kind != "operator" else DASH,
        f"{row.intensity:.1f}",
        "×".join(str(field.pixels) for field in row.field) or DASH,
        "×".join(str(field.jump) for field in row.field if field.jump) or DASH,
    ]
    cells = "".join(f"<{cell}>{_text(value)}</{cell}>" for value in values)
    return f'<tr><th>{_text(row.name or "(itself)")}</th><td class="text">{_text(what)}</td>{cells}</tr>'


def _compared(found: Sequence[tuple[ModuleCost, Memory]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("parameters", "MACs", "FLOPs", "made", "kept", "peak memory"))
    body = "".join(
        f"<tr><th>{_text(cost.name)}</th>"
        + "".join(
            f"<td>{_text(value)}</td>"
            for value in (
                whole(cost.total.params),
                compact(cost.total.macs),
                compact(cost.total.flops),
                memory(cost.total.made_nbytes),
                memory(cost.total.kept_nbytes),
                memory(needs.peak_nbytes),
            )
        )
        + "</tr>"
        for cost, needs in found
    )
    table = f"<table><thead><tr><th>net</th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>Side by side</h2><div class="scroll">{table}</div>'


def _text(value: Any) -> str:
    return escape(str(value))
