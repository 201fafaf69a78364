"""The frame of a page: its style sheet, where its template is rendered, and a whole one of a title and a body.

A page needs nothing but itself. Its content security policy forbids every request and every script, so that even a name
that managed to become a tag could do nothing; in templates names cannot, since Jinja2 escapes all of them.
"""

from importlib import resources

import jinja2
from markupsafe import Markup

from striate.pages import wording
from striate.pages.svg import clean, escape

__all__ = ["POLICY", "document", "environment", "style"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def style() -> Markup:
    """The style sheet that every page of the house has."""
    return Markup(resources.files("striate.pages").joinpath("style.css").read_text(encoding="utf-8"))


def environment(package: str) -> jinja2.Environment:
    """Where the templates that lie in `package` are rendered.

    Everything is escaped, and the house's words for numbers are filters.
    """

    def read(name: str) -> str:
        return resources.files(package).joinpath(name).read_text(encoding="utf-8")

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


def document(title: str, command: str, headline: str, body: str, *, lede: str = "", extra_style: str = "") -> str:
    """A page whose body was written without a template. lede, body: HTML; the others: text.

    command: what wrote it, above the headline. extra_style: rules of this page alone.
    """
    return clean(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style()} {extra_style}</style></head>"
        f'<body><header><p class="kicker">{escape(command)}</p><h1>{escape(headline)}</h1>{lede}</header>'
        f"<main>{body}</main></body></html>"
    )
