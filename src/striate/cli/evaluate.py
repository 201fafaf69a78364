"""`striate evaluate`: how a trained net does on images that it has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.table import print_json, print_table

if TYPE_CHECKING:
    from striate.evaluate import Evaluation

__all__ = ["evaluate"]

CONFUSED = 5  # pairs of classes shown


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, a model file or a published net.")],
    data: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the model's own.")] = None,
    part: Annotated[str | None, typer.Option(help="train, val or test.  [default: test, else val]")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in a batch.")] = 64,
    workers: Annotated[int, typer.Option("--workers", "-j", min=0, help="Threads that load.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    classes: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch no weights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure a trained net: accuracy, loss, and both by class."""
    from striate.evaluate import evaluate as measure
    from striate.nets.trained import read_classes
    from striate.train.resolve import pick_device

    found = measure(
        model,
        data,
        part=part,
        data_dir=data_dir,
        batch_size=batch_size,
        workers=workers,
        device=str(pick_device(device)),
        classes=read_classes(classes) if classes else (),
        offline=offline,
    )
    rows = _by_class(found)
    if as_json:
        metrics = found.metrics
        print_json(
            {
                "model": str(found.model),
                "data": found.data,
                "part": found.part,
                "images": metrics.samples,
                "accuracy": metrics.accuracy,
                "top5": metrics.top5,
                "loss": metrics.loss,
                "seconds": found.seconds,
                "classes": rows,
                "confusion": metrics.confusion.tolist(),
            }
        )
        return
    _print(found, rows)


def _by_class(found: "Evaluation") -> list[dict[str, Any]]:
    """Images, recall (right among those of the class) and precision (right among those called so) of every class."""
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(found.classes):
        right = int(found.metrics.confusion[index, index])
        images, called = int(found.metrics.confusion[index].sum()), int(found.metrics.confusion[:, index].sum())
        recall, precision = (right / total if total else None for total in (images, called))
        rows.append({"class": name, "images": images, "recall": recall, "precision": precision})
    return rows


def _print(found: "Evaluation", rows: list[dict[str, Any]]) -> None:
    metrics = found.metrics
    top5 = f", top-5 {metrics.top5:.2%}" if metrics.top5 is not None else ""
    print(f"{found.model} on {found.data}, {found.part} part: {metrics.samples:,} images in {found.seconds:.1f} s")
    print(f"accuracy {metrics.accuracy:.2%}{top5}, loss {metrics.loss:.4f}\n")
    shown = [[row["class"], row["images"], _percent(row["recall"]), _percent(row["precision"])] for row in rows]
    print_table(["class", "images", "recall", "precision"], shown, right=["images", "recall", "precision"])
    pairs = [
        (int(metrics.confusion[true, called]), found.classes[true], found.classes[called])
        for true in range(len(found.classes))
        for called in range(len(found.classes))
        if true != called and metrics.confusion[true, called]
    ]
    if pairs:
        print("\nmost often confused")
        for count, true, called in sorted(pairs, key=lambda pair: -pair[0])[:CONFUSED]:
            print(f"  {count:,} × {true} taken for {called}")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
