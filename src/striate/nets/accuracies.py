"""What was published of the accuracy of nets on ImageNet's validation set, each figure with its source.

The figures are facts of others, kept in `accuracies.csv`: per cent of the 50,000 images, and how each image was looked
at, for ten crops are worth two points more than one. A net of which only errors were printed has 100 minus those.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Accuracy", "published_accuracies"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of 1; `top1` is None where only the top-5 error was printed. `protocol`: crops and their size."""

    top1: float | None
    top5: float
    protocol: str
    source: str

    @property
    def one_crop(self) -> bool:
        """Whether each image was looked at once, in the middle: the figures that may be compared."""
        return self.protocol.startswith("1 crop,")


@cache
def published_accuracies() -> dict[str, Accuracy]:
    """By the zoo's names; nets that nobody measured on ImageNet are not among them.

    >>> published_accuracies()["resnet50"].top1
    0.7613
    """
    text = resources.files("striate.nets").joinpath("accuracies.csv").read_text(encoding="utf-8")
    return {
        row["net"]: Accuracy(
            top1=_share(row["top1"]) if row["top1"] else None,
            top5=_share(row["top5"]),
            protocol=row["protocol"],
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    }


def _share(percent: str) -> float:
    return round(float(percent) / 100, 5)
