"""`striate evaluate`: how trained nets do on images that they have not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli import evaluate_print
from striate.cli.failure import UsageError
from striate.cli.files import check_drawing, check_output
from striate.cli.table import print_json

if TYPE_CHECKING:
    from striate.evaluate import Panel

__all__ = ["evaluate", "scales_of"]


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL… [DATA]",
            help="Run folders, model files or published nets; several are an ensemble. Then other data than their own.",
        ),
    ],
    part: Annotated[str | None, typer.Option(help="train, val or test.  [default: test, else val]")] = None,
    views: Annotated[
        str | None, typer.Option(metavar="NAME", help="Average over: none, flip, 5, 10, 50, dense or trained.")
    ] = None,
    crops: Annotated[int, typer.Option(metavar="1|2|5|10", help="Crops of each scale; 2 is a mirror image.")] = 1,
    scales: Annotated[str, typer.Option(metavar="N|PX,PX,…", help="Scales: 1 to 5, or short sides in px.")] = "1",
    samples: Annotated[int, typer.Option(min=0, help="Draws of dropout and its kin for each image.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides those draws, and the bootstrap's.")] = 0,
    checkpoints: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="The K best checkpoints of each run, as an ensemble.")
    ] = None,
    swa: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="One net: the mean weights of a run's newest K checkpoints.")
    ] = None,
    best: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="The K best trials of a search's folder, as an ensemble.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Compare: single view, flips, 10 crops, 50 views, ensemble.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature on the validation part, and use it.")
    ] = False,
    save_temperature: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A copy of the model that uses the fitted temperature.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw the reliability diagram.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images, or views, in a batch.")] = 64,
    workers: Annotated[int, typer.Option("--workers", "-j", min=0, help="Threads that load.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    classes: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch no weights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure a trained net, or several together: accuracy, loss, calibration, and recall by class."""
    if table and ((crops, scales) != (1, "1") or plot is not None or save_temperature is not None):
        raise UsageError(
            "--table has rows for the usual views; leave out --crops, --scales, --plot, --save-temperature"
        )
    if samples and save_temperature is not None:
        raise UsageError(
            "--samples with --save-temperature: a model tempers each draw by its own temperature, and this one would "
            "fit the average of the draws; leave out one of the two"
        )
    check_drawing("--plot", plot)
    check_output(save_temperature)
    from striate.evaluate import Panel, Plan, compare
    from striate.evaluate.comparison import rows_to
    from striate.evaluate.score import Sitting, measure, plan_of
    from striate.nets.trained import read_classes
    from striate.train.resolve import pick_device

    calibrate = calibrate or save_temperature is not None
    plan = plan_of(views, crops, scales_of(scales))
    named, data = _models_and_data(models)
    panel = Panel.of(
        named,
        data,
        checkpoints=checkpoints,
        swa=swa,
        best=best,
        data_dir=data_dir,
        classes=read_classes(classes) if classes else (),
        offline=offline,
        workers=workers,
    )
    where = str(pick_device(device))
    sitting = Sitting(
        samples=samples, seed=seed, calibrate=calibrate, batch_size=batch_size, workers=workers, device=where
    )
    if table:
        plans = rows_to(Plan.named(views or "50"))
        compared = compare(panel, part, plans=plans, sitting=sitting)
        if as_json:
            print_json(evaluate_print.comparison_as_json(compared))
        else:
            evaluate_print.print_comparison(compared)
        return
    found = measure(panel, part, plan, sitting)
    if save_temperature is not None:
        _save_tempered(save_temperature, panel, found.temperature)
    if plot is not None:
        from striate.atomic import write_bytes
        from striate.evaluate.reliability import reliability_chart

        write_bytes(plot, reliability_chart(found.calibration, f"{found.model} on {found.data}").encode())
    if as_json:
        print_json(evaluate_print.as_json(found))
    else:
        evaluate_print.print_evaluation(found)


def scales_of(text: str) -> Any:
    """How many scales "5" asks for, or the short sides "224,256", px."""
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"--scales {text!r}: give how many, 1 to 5, or short sides in px: 224,256") from None
    return numbers if "," in text or numbers[0] > 5 else numbers[0]


def _models_and_data(arguments: list[str]) -> tuple[list[str], str | None]:
    """The first is a model; of the others those that are, too; only the last may be data instead."""
    first, *others = arguments
    models = [first, *(argument for argument in others if _is_model(argument))]
    data = [argument for argument in others if not _is_model(argument)]
    if len(data) > 1 or (data and data[0] != arguments[-1]):
        raise UsageError(f"{data[0]} is no run, model file or published net; only the last argument may be data")
    return models, data[0] if data else None


def _is_model(argument: str) -> bool:
    path = Path(argument)
    if path.is_dir():
        return any((path / name).is_file() for name in ("config.toml", "ranking.json"))
    if path.suffix == ".safetensors":
        return True  # also where it is missing: it would be asked for as a model, and said to be missing
    if path.exists():
        return False
    from striate.nets.trained import is_published

    return is_published(argument)


def _save_tempered(path: Path, panel: "Panel", temperature: float | None) -> None:
    from striate.errors import StriateError
    from striate.evaluate.members import save_tempered

    if len(panel.members) > 1:
        raise StriateError("an ensemble is no one model whose temperature could be saved; give a single model")
    assert temperature is not None
    member = panel.members[0]
    save_tempered(path, member.net, panel.cards[0], temperature)
