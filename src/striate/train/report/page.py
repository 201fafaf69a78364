"""From record to page."""

from pathlib import Path

from striate.atomic import write_bytes
from striate.pages.document import rendered
from striate.train.report import sections
from striate.train.report.record import RunRecord

__all__ = ["render", "write_report"]


def write_report(path: Path, record: RunRecord) -> None:
    """Write the page to `path`, whole or not at all. Raises StriateError when it cannot be written."""
    write_bytes(Path(path), render(record).encode("utf-8"))


def render(record: RunRecord) -> str:
    """The page as HTML."""
    return rendered(
        "striate.train.report",
        "page.html.j2",
        record=record,
        answer=sections.answer(record),
        shown=sections.shown(record.data),
        learned=sections.learned(record),
        watched=sections.health(record),
        wrong=sections.wrong(record.final, record.data.classes) if record.final and record.final.samples else None,
        inside=sections.inside(record),
        cost=sections.cost(record),
        repeat=sections.repeat(record),
    )
