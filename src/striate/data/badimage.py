"""The one error of a file that should be an image and is not."""

from striate.data.shown import shown
from striate.errors import StriateError

__all__ = ["BadImage"]


class BadImage(StriateError):
    """A file that cannot be used; the message reads `where reason`, such as "photos/a.jpg is truncated".

    `where` is the name as it is, the message has it in one line.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(shown(f"{where} {reason}"))
        self.where = where
        self.reason = reason
