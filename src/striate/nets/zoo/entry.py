"""What a family tells the zoo about each of its nets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from striate.nets.net import Net

__all__ = ["Entry"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`build(spec, *args, setting=default, …)` makes the net, its settings being what `build` takes by keyword only.

    `args` is what sets this net apart from its family; `input_size` is the (height, width) px it was published for.
    """

    build: Callable[..., Net]
    args: tuple[Any, ...] = ()
    input_size: tuple[int, int]
    source: str
