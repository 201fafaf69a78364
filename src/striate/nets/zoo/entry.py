"""What a family tells the zoo about each of its nets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from striate.errors import StriateError, unknown
from striate.nets.net import Net

__all__ = ["Entry", "choose"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`build(spec, *args, setting=default, …)` makes the net, its settings being what `build` takes by keyword only.

    `args` is what sets this net apart from its family; `input_size` is the (height, width) px it was published for.
    """

    build: Callable[..., Net]
    args: tuple[Any, ...] = ()
    input_size: tuple[int, int]
    source: str


def choose(setting: str, given: str, among: Mapping[str, T]) -> T:
    """The thing that a setting names. Raises StriateError for a name that is not among them."""
    if given not in among:
        raise StriateError(unknown(setting, given, among))
    return among[given]
