"""A look over the text of a prototxt before it is parsed: how deep it nests, and which fields nobody here knows.

`protobuf`'s own parser refuses an unknown field or skips it without a word. A net from a fork of Caffe should be read,
and what was skipped be named.
"""

import re
from typing import Any

from striate.errors import StriateError
from striate.nets.caffe.messages import message_class

__all__ = ["look_over"]

DEEPEST = 32  # messages within messages; Caffe's own go six deep
TOKEN = re.compile(
    r"""\#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [{}<>:,;\[\]] | [^\s{}<>:,;\[\]"'\#]+ | \n""", re.X
)


def look_over(text: str, path: object) -> list[str]:
    """Unknown fields as "line 7: swish_param". Raises StriateError when messages nest deeper than any net's."""
    inside: list[Any] = [message_class("NetParameter").DESCRIPTOR]  # None inside a field that is unknown itself
    opened: Any = None  # what the next brace would open
    found, line, name_follows = [], 1, True
    for token in TOKEN.findall(text):
        if token == "\n":
            line += 1
        elif token in "{<":
            inside.append(opened)
            opened, name_follows = None, True
            if len(inside) > DEEPEST:
                raise StriateError(f"{path}, line {line}: messages nest more than {DEEPEST} deep, which no net's do")
        elif token in "}>":
            inside = inside[:-1] or [None]
            name_follows = True
        elif token == ":":
            name_follows = False
        elif name_follows and token[0] not in "#,;[]":
            field = inside[-1].fields_by_name.get(token) if inside[-1] else None
            if field is None and inside[-1] is not None:
                found.append(f"line {line}: {token}")
            opened = field.message_type if field else None
        elif token[0] not in "#,;[":
            name_follows = True  # that was the value
    return found
