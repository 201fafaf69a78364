"""From record to page: the template, its style sheet, and the guards around them.

The page needs nothing but itself. Its content security policy forbids every request and every script, so that even a
class name that managed to become a tag could do nothing; names cannot, since Jinja2 escapes all of them.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from striate.atomic import write_bytes
from striate.train.report import sections, wording
from striate.train.report.record import RunRecord
from striate.train.report.svg import clean

__all__ = ["environment", "render", "style", "write_report"]


def write_report(path: Path, record: RunRecord) -> None:
    """Write the page to `path`, whole or not at all. Raises StriateError when it cannot be written."""
    write_bytes(Path(path), render(record).encode("utf-8"))


def render(record: RunRecord) -> str:
    """The page as HTML."""
    template = environment(_read).get_template("page.html.j2")
    page = template.render(
        record=record,
        style=style(),
        answer=sections.answer(record),
        shown=sections.shown(record.data),
        learned=sections.learned(record),
        watched=sections.health(record),
        wrong=sections.wrong(record.final, record.data.classes) if record.final and record.final.samples else None,
        inside=sections.inside(record),
        cost=sections.cost(record),
        repeat=sections.repeat(record),
    )
    return clean(page)


def style() -> Markup:
    """The style sheet that every page of the house has."""
    return Markup(_read("style.css"))


def environment(read: Callable[[str], str]) -> jinja2.Environment:
    """Where templates are rendered: everything is escaped, and the house's words for numbers are filters.

    read: the text of a template of that name.
    """
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in ("compact", "decimal", "duration", "memory", "moment", "percent", "shape", "whole"):
        made.filters[word] = getattr(wording, word)
    return made


def _read(name: str) -> str:
    return resources.files("striate.train.report").joinpath(name).read_text(encoding="utf-8")
