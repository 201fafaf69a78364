"""`striate predict`: what a trained net says about images."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.evaluate import scales_of
from striate.cli.failure import UsageError
from striate.cli.table import print_json, print_table
from striate.errors import StriateError

if TYPE_CHECKING:
    from striate.evaluate import Prediction

__all__ = ["predict"]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, a model file or a published net.")],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE…", help="Files, folders, patterns; - reads paths from stdin.")
    ],
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="Classes shown for each image.")] = 5,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in a batch.")] = 32,
    workers: Annotated[int, typer.Option("--workers", "-j", min=1, help="Threads that read.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    classes: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch no weights.")] = False,
    crops: Annotated[int, typer.Option(metavar="1|2|5|10", help="Average over crops; 2 is a mirror image.")] = 1,
    scales: Annotated[str, typer.Option(metavar="N|PX,PX,…", help="Scales: 1 to 5, or short sides in px.")] = "1",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, as soon as it is known.")
    ] = False,
) -> int:
    """Say what is in images, with probabilities.

    An image that cannot be read is named on stderr; the others go on, and the exit code is 1 at the end.
    """
    from striate.evaluate import Plan, Predictor, model_path
    from striate.nets.trained import read_classes
    from striate.train.resolve import pick_device

    predictor = Predictor(
        model_path(model),
        device=str(pick_device(device)),
        workers=workers,
        batch_size=batch_size,
        classes=read_classes(classes) if classes else (),
        offline=offline,
        plan=Plan(crops=crops, scales=scales_of(scales)),
    )
    for note in predictor.notes:
        _complain(note)
    missing: list[str] = []
    rows, failed = [], 0
    for prediction in predictor.predict(_paths(images, missing), top_k=top_k):
        if prediction.problem is not None:
            failed += 1
            _complain(prediction.problem)
        elif not as_json:
            rows.append(_row(prediction))
        if as_json:
            print_json(_as_json(prediction), indent=None)
    if rows:
        print_table(["image", "class", "probability", "then"], rows, right=["probability"])
    return 1 if failed or missing else 0


def _paths(arguments: list[str], missing: list[str]) -> Iterator[str]:
    """Every image that the arguments name; one that names nothing is complained of and added to `missing`."""
    from striate.evaluate import find_images

    if arguments.count("-") > 1:
        raise UsageError("- reads the paths from stdin and can be given once")
    for argument in _with_stdin(arguments):
        try:
            yield from find_images([argument])
        except StriateError as error:
            missing.append(argument)
            _complain(str(error))


def _with_stdin(arguments: list[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield argument


def _row(prediction: "Prediction") -> list[str]:
    (best, probability), *rest = prediction.top
    return [
        prediction.path,
        best,
        f"{probability:.1%}",
        ", ".join(f"{name} {share:.1%}" for name, share in rest),
    ]


def _as_json(prediction: "Prediction") -> dict[str, Any]:
    if prediction.problem is not None:
        return {"image": prediction.path, "problem": prediction.problem}
    top = [{"class": name, "probability": probability} for name, probability in prediction.top]
    return {"image": prediction.path, "top": top}


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
