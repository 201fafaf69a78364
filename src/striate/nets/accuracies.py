"""What was published of the accuracy of nets on ImageNet's validation set, each figure with its source.

The figures are facts of others, kept in `accuracies.csv`: per cent of the 50,000 images, and how each image was looked
at, for ten crops are worth two points more than one. A net of which only errors were printed has 100 minus those.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Accuracy", "accuracy_of_weights", "published_accuracies"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Shares of 1; `top1` is None where only the top-5 error was printed. `protocol`: crops and their size.

    `weights` is the file that has this accuracy, as `nets.weights` names it; empty where it was not published.
    """

    weights: str
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
    """By the zoo's names; nets that nobody measured on ImageNet are not among them. The default weights of a net count.

    >>> published_accuracies()["resnet50"].top1
    0.7613
    """
    found: dict[str, Accuracy] = {}
    for net, accuracy in _rows():
        found.setdefault(net, accuracy)
    return found


def accuracy_of_weights(name: str) -> Accuracy | None:
    """That of one file of published weights.

    >>> accuracy_of_weights("resnet50-11ad3fa6").top1
    0.80858
    """
    return next((accuracy for _, accuracy in _rows() if accuracy.weights == name), None)


def _rows() -> Iterator[tuple[str, Accuracy]]:
    text = resources.files("striate.nets").joinpath("accuracies.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        yield (
            row["net"],
            Accuracy(
                weights=row["weights"],
                top1=_share(row["top1"]) if row["top1"] else None,
                top5=_share(row["top5"]),
                protocol=row["protocol"],
                source=row["source"],
            ),
        )


def _share(percent: str) -> float:
    return round(float(percent) / 100, 5)
