"""The frame of a page: its style sheet, where its template is rendered, and a whole one of a title and a body.

A page needs nothing but itself. Its content security policy forbids every request and every script, so that even a name
that managed to become a tag could do nothing; in templates names cannot, since Jinja2 escapes all of them.
"""

from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from striate.pages import wording
from striate.pages.svg import clean

__all__ = ["POLICY", "document", "environment", "rendered", "style"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def style() -> Markup:
    """The style sheet that every page of the house has."""
    return Markup(resources.files("striate.pages").joinpath("style.css").read_text(encoding="utf-8"))


def environment(package: str) -> jinja2.Environment:
    """Where the templates that lie in `package` are rendered; they extend this room's `pages/base.html.j2`.

    Everything is escaped, and the house's words for numbers are filters.
    """

    def read(name: str) -> str:
        room, _, file = name.rpartition("/")  # "pages/base.html.j2" is of this room
        return resources.files(f"striate.{room}" if room else package).joinpath(file).read_text(encoding="utf-8")

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in ("compact", "decimal", "duration", "memory", "moment", "percent", "plural", "shape", "whole"):
        made.filters[word] = getattr(wording, word)
    made.globals |= {"policy": Markup(POLICY), "style": style()}
    return made


def rendered(package: str, template: str, /, **view: Any) -> str:
    """The page that `template` of `package` makes of `view`, without characters that no document may hold."""
    return clean(environment(package).get_template(template).render(view))


def document(title: str, command: str, headline: str, body: str, *, lede: str = "", extra_style: str = "") -> str:
    """A page whose body was written without a template. lede, body: HTML; the others: text.

    command: what wrote it, above the headline. extra_style: rules of this page alone.
    """
    return rendered(
        "striate.pages",
        "document.html.j2",
        title=title,
        command=command,
        headline=headline,
        body=Markup(body),
        lede=Markup(lede),
        extra_style=Markup(extra_style),
    )
