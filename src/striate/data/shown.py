"""A name as it is told in a line: file systems allow line breaks in it, terminals obey control characters."""

import re

__all__ = ["as_text", "shown"]

# Control characters (Unicode's Cc), the two separators that end a line (Zl, Zp), and halves of surrogate pairs (Cs),
# which is how Python reads bytes that are no UTF-8 (PEP 383).
_UNTOLD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown(text: str) -> str:
    r"""`text` in one line, what cannot be printed escaped as Python and shells write it in $'…'.

    >>> print(shown("two\nlines\x1b[31m.png"), shown("latin\udce9.png"), shown("naïve ✓.png"))
    two\nlines\x1b[31m.png latin\xe9.png naïve ✓.png
    """
    return _UNTOLD.sub(_escaped, text)


def as_text(name: str) -> str:
    r"""`name` as a column of text holds it: bytes of it that are no UTF-8 are the sign for letters that are unknown.

    >>> as_text("latin\udce9.png"), as_text("naïve.png")
    ('latin�.png', 'naïve.png')
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of the name, which is no letter
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode()
