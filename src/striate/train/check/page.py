"""The page that `striate check --html` writes: the list, the histograms, the range test, the gradients; one file."""

from collections.abc import Sequence
from pathlib import Path

from striate.atomic import write_bytes
from striate.pages.document import document
from striate.pages.svg import escape
from striate.pages.wording import plural
from striate.train.check.drawing import histograms, rate_chart
from striate.train.check.finding import Finding

__all__ = ["page", "write_page"]

MARKS = {"ok": "ok", "warning": "look", "failed": "failed", "skipped": "skipped"}


def write_page(path: Path, title: str, findings: Sequence[Finding]) -> None:
    """Write the page to `path`, whole or not at all. Raises StriateError when it cannot be written."""
    write_bytes(path, page(title, findings).encode("utf-8"))


def page(title: str, findings: Sequence[Finding]) -> str:
    """The page as HTML."""
    failed = [found for found in findings if found.verdict == "failed"]
    looks = [found for found in findings if found.verdict == "warning"]
    answer = (
        f"{plural(len(failed), 'check')} failed: {', '.join(found.name for found in failed)}."
        if failed
        else f"Nothing failed; look at {', '.join(found.name for found in looks)}."
        if looks
        else "Everything is as it should be."
    )
    alarm = " alarm" if failed else ""
    body = f"<section><h2>The list</h2>{_table(findings)}</section>{''.join(map(_section, findings))}"
    lede = f'<p class="lede outcome{alarm}">{escape(answer)}</p>'
    return document(f"{title}: check", "striate check", title, body, lede=lede, extra_style=EXTRA)


EXTRA = """
rect.a, circle.a, text.a, .line.a { color: var(--a); } rect.b, text.b, .line.b { color: var(--b); }
text.c, .line.c { color: var(--c); } figure.wide svg { max-width: 44rem; height: auto; }
td.evidence { white-space: normal; text-align: left; } td.evidence small { display: block; color: var(--b); }
.verdict-failed { color: var(--b); font-weight: 600; } .verdict-warning { color: var(--b); }
.verdict-skipped { color: var(--muted); } .verdict-ok { color: var(--c); }
"""


def _table(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f'<tr><th>{escape(found.name)}</th><td class="text verdict-{found.verdict}">{MARKS[found.verdict]}</td>'
        f'<td class="evidence">{escape(found.evidence)}'
        + (f"<small>{escape(found.remedy)}</small>" if found.remedy else "")
        + f"</td><td>{found.seconds:.1f} s</td></tr>"
        for found in findings
    )
    head = _head(("check", True), ("verdict", True), ("evidence, and what to do", True), ("took", False))
    return f'<div class="scroll whole"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _section(found: Finding) -> str:
    figures = found.figures
    if "layers" in figures:
        note = (
            f"Values of each layer for {figures['images']} images before the first step: mean ± deviation, and the "
            f"range of the histogram. The images themselves have deviation {figures['input deviation']:.2g}."
        )
        return _pictured("Activations", note, histograms("layers", "What the layers put out", figures["layers"]))
    if "rates" in figures:
        note = "One step at each rate, rising while the net trains: dots are losses, the line their running mean."
        return _pictured("Learning rate", note, rate_chart("rates", figures))
    if "rows" in figures:
        every = f"<details><summary>Every tensor</summary>{_gradients(found)}</details>"
        return f"<section><h2>Gradients</h2>{every}</section>"
    return ""


def _pictured(title: str, note: str, picture: str) -> str:
    return f'<section><h2>{title}</h2><p class="note">{note}</p><figure class="wide">{picture}</figure></section>'


def _head(*columns: tuple[str, bool]) -> str:
    """The row of names; those of text columns stand left."""
    cells = "".join(f'<th class="text">{name}</th>' if text else f"<th>{name}</th>" for name, text in columns)
    return f"<tr>{cells}</tr>"


def _gradients(found: Finding) -> str:
    rows = "".join(
        f"<tr><th>{escape(row['name'])}</th><td>{'×'.join(map(str, row['shape']))}</td>"
        f"<td>{'–' if row['error'] is None else format(row['error'], '.1e')}</td>"
        f"<td>{'–' if row['bound'] is None else format(row['bound'], '.1e')}</td><td>{row['kinks']}</td>"
        f'<td class="text">{row["verdict"]}</td></tr>'
        for row in found.figures["rows"]
    )
    names = ("tensor", "shape", "error", "bound", "kinks")
    head = _head(*((name, False) for name in names), ("verdict", True))
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
