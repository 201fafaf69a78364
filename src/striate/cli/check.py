"""`striate check`: is a net right, on these data, before anybody waits for it to train?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from striate.cli.failure import UsageError
from striate.cli.files import check_drawing, check_output
from striate.cli.lists import words
from striate.cli.table import print_json
from striate.cli.train import with_net_settings
from striate.data.shown import shown
from striate.errors import StriateError

if TYPE_CHECKING:
    from striate.train.check import Finding

__all__ = ["check"]

NOT_SETTINGS = frozenset(
    {"recipe", "config", "set_net", "activation", "only", "skip", "seconds", "html", "plot", "svg", "as_json"}
)


def check(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NET", help="A net, a model file or a run folder.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A name, a folder, a zip, a CSV or a pack.")] = "digits",
    only: Annotated[str | None, typer.Option(metavar="NAME,…", help="These checks alone.")] = None,
    skip: Annotated[str | None, typer.Option(metavar="NAME,…", help="All checks but these.")] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="What gradients, overfit and rates may take each, before they report.")
    ] = 5.0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the list, the histograms and the range test as a page.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the histograms of the activations.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(hidden=True)] = None,  # as --plot was called
    recipe: Annotated[str | None, typer.Option(help="The settings of a recipe, by name or file.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings; flags win over it.")] = None,
    set_net: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the net, e.g. dropout=0.5; may be repeated."),
    ] = None,
    activation: Annotated[str | None, typer.Option(help="In place of the ReLUs of the net: tanh, elu, gelu, …")] = None,
    init: Annotated[str | None, typer.Option(help="How weights begin: he, xavier, orthogonal, lsuv, …")] = None,
    preprocess: Annotated[
        Literal["channel", "mean-image", "pca", "zca"] | None,
        typer.Option(help="Normalise channels alone, or take the mean image away, or whiten."),
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="Start from a file's weights, or 'published' ones.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels, height and width, that the net sees.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 (grey) or 3 (RGB).")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", "-b", help="Images in a batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="The rate that the range test is to judge.")] = None,
    optimizer: Annotated[Literal["sgd", "adamw"] | None, typer.Option(help="How a gradient becomes a step.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decay of the weights.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-j", help="Threads that load.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that compute.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, images and draws.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> int:
    """Check a net and its data before training: the sanity list, activations, gradients, learning rate.

    One line for each check: its verdict, its name, the evidence, and below it what to do. Exit code 1 when one failed.
    """
    from striate.face import settings_for
    from striate.train.check.sanity import chosen, run

    try:
        names = chosen(words(only or ""), words(skip or ""))
        flags = {key: value for key, value in ctx.params.items() if key not in NOT_SETTINGS and value is not None}
        settings = settings_for(recipe=recipe, config=config, flags={**flags, "device": "cpu"})
        settings = with_net_settings(settings, set_net, activation)
    except StriateError as error:
        raise UsageError(str(error)) from error
    plot = plot or svg
    check_drawing("--plot", plot)
    check_output(html)
    if plot is not None and "activations" not in names:
        raise UsageError("--plot draws the activations, which --only or --skip leave out")
    import torch

    from striate.train.check.begin import subject_of

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    subject = subject_of(settings)
    title = f"{model} on {subject.data.name}"
    if not as_json:
        parameters = sum(p.numel() for p in subject.net.parameters())
        shape = "×".join(map(str, subject.images.shape[1:]))
        typer.echo(f"{shown(title)}: {parameters:,} parameters, {shape}, {subject.classes} classes")
    findings = []
    for found in run(subject, only=names, seconds=seconds):
        findings.append(found)
        if not as_json:
            _tell(found)
    if as_json:
        print_json({"net": model, "data": subject.data.name, "findings": [_as_json(found) for found in findings]})
    _draw(title, findings, html, plot)
    return int(any(found.verdict == "failed" for found in findings))


def _tell(found: "Finding") -> None:
    """The line of a finding, and under it the remedy."""
    typer.echo(f"{found.verdict:<8} {found.name:<12} {shown(found.evidence)}")
    if found.remedy:
        typer.echo(f"{'':<21} → {found.remedy}")


def _as_json(found: "Finding") -> dict[str, Any]:
    return {
        "name": found.name,
        "verdict": found.verdict,
        "evidence": found.evidence,
        "remedy": found.remedy,
        "seconds": round(found.seconds, 3),
        "figures": dict(found.figures),
    }


def _draw(title: str, findings: "list[Finding]", html: Path | None, plot: Path | None) -> None:
    if html is not None:
        from striate.train.check.page import write_page

        write_page(html, title, findings)
    if plot is not None:
        from striate.atomic import write_bytes
        from striate.train.check.drawing import histograms, standalone

        layers = next(found.figures["layers"] for found in findings if "layers" in found.figures)
        write_bytes(plot, standalone(histograms("layers", title, layers)).encode())
