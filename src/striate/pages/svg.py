"""SVG as text: escaping, labels, and the frame that lets a screen reader say what a chart shows.

Colours are left to the page's style sheet: text takes `currentColor`, marks carry a class ("a", "b", "c" for series,
"axis", "grid"). Nothing here refers to anything outside the document.
"""

import html
import re

__all__ = ["clean", "escape", "frame", "label", "number"]

# What XML 1.0 forbids even when escaped, and lone surrogates, which file names that are no UTF-8 carry in Python.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """`text` without characters that no document may hold; each becomes the replacement character.

    >>> clean("a\\x00b\\udcffc")
    'a�b�c'
    """
    return FORBIDDEN.sub("\ufffd", text)


def escape(text: str) -> str:
    """`text` as it may stand between tags and inside quoted attributes.

    >>> escape('<script>"&')
    '&lt;script&gt;&quot;&amp;'
    """
    return html.escape(clean(text), quote=True)


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough.

    >>> number(12.04), number(3.0), number(-0.04)
    ('12', '3', '0')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def label(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "", turn: float = 0) -> str:
    """One line of text with its baseline at (x, y). anchor: start, middle or end; turn: degrees clockwise."""
    classes = f' class="{kind}"' if kind else ""
    turned = f' transform="rotate({number(turn)} {number(x)} {number(y)})"' if turn else ""
    placed = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
    return f'<text {placed} fill="currentColor"{classes}{turned}>{escape(text)}</text>'


def frame(key: str, title: str, description: str, size: tuple[float, float], body: str) -> str:
    """The whole chart. key: an id unique in the page; title: its name; description: what a reader would see in it;
    size: (width, height) in px of the drawing, which the page scales to the room there is.
    """
    width, height = map(number, size)
    return (
        f'<svg role="img" aria-labelledby="{key}-title {key}-desc" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-size="14">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(description)}</desc>'
        f"{body}</svg>"
    )
