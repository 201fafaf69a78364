"""Which convolutions can be rewritten: zero padding that is written in pixels."""

from typing import cast

from torch import nn

from striate.errors import StriateError

__all__ = ["Pair", "check_plain", "pair"]

Pair = tuple[int, int]  # (height, width)


def check_plain(conv: nn.Conv2d) -> None:
    """Raise StriateError for a convolution whose border is not zeros, or is sized by name."""
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise StriateError(
            f"cannot rewrite a convolution with padding={conv.padding!r}, padding_mode={conv.padding_mode!r}; "
            "it has to pad zeros, as many as a number says"
        )


def pair(size: int | tuple[int, ...] | str) -> Pair:
    """(height, width) from what a torch layer holds.

    >>> pair(3), pair((1, 2))
    ((3, 3), (1, 2))
    """
    return (size, size) if isinstance(size, int) else cast(Pair, size)
