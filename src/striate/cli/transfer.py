"""`striate transfer`: a trained net on other images, by the plan that suits them."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from striate.cli import transfer_print
from striate.cli.failure import UsageError
from striate.cli.files import check_output
from striate.cli.lists import whole_numbers, words
from striate.cli.table import print_json
from striate.pages.wording import plain_percent, plural

if TYPE_CHECKING:
    from striate.train import Reporter
    from striate.train.transfer.project import Project

__all__ = ["transfer"]


def transfer(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder, zip, CSV or pack of images, or a name.")],
    model: Annotated[
        str, typer.Option("--from", metavar="MODEL", help="A run, a model file, a file of weights, a published net.")
    ],
    net: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NET", help="The net that a file of weights is of.")
    ] = None,
    plan: Annotated[
        Literal["auto", "probe", "few", "more", "scratch"],
        typer.Option(help="What learns; auto measures, and says why."),
    ] = "auto",
    compare: Annotated[
        bool, typer.Option("--compare", help="All four plans beside each other as the data grow.")
    ] = False,
    sizes: Annotated[str, typer.Option(metavar="N,N,…", help="Of --compare: images of each class.")] = "10,30,100",
    seeds: Annotated[int, typer.Option(min=1, help="Of --compare: draws of those images.")] = 3,
    table: Annotated[
        bool, typer.Option("--table", help="Only layer by classifier, as DeCAF's table; train nothing.")
    ] = False,
    classifiers: Annotated[
        str, typer.Option(metavar="NAME,…", help="Of --table: logistic, svm, ridge, neighbours, nearest mean.")
    ] = "logistic,svm,ridge,neighbours,nearest mean",
    splits: Annotated[int, typer.Option(min=1, help="Of --table: draws of the training images.")] = 5,
    per_class: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of --table: images of a class in a draw.  [default: half]")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="Where features are taken.  [default: stages, hidden layers]")
    ] = None,
    views: Annotated[str, typer.Option(metavar="NAME", help="Average features over: none, flip, 5, 10, 50.")] = "none",
    pool: Annotated[Literal["mean", "max", "flatten"], typer.Option(help="How maps become features.")] = "mean",
    unit: Annotated[bool, typer.Option("--unit", help="Divide features by their length.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Of --table: write it as CSV, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Updates that a plan which trains is given.")] = 300,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in an update.")] = 32,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels; nets with a fixed head take one size only.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate, in place of the plan's.")] = None,
    val_fraction: Annotated[float, typer.Option(help="Share set aside to choose by.")] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="Share set aside to test on.")] = 0.2,
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="auto measures.")] = "auto",
    workers: Annotated[int, typer.Option("--workers", "-j", min=0, help="Threads that load.")] = 2,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads that compute.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides new weights, order, noise and folds.")] = 0,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="Where features are kept.")] = None,
    output: Annotated[str, typer.Option(metavar="DIR", help="Where runs are made.")] = "runs",
    name: Annotated[str | None, typer.Option(help="The run's name, or of --compare its folder's.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch no weights.")] = False,
) -> int:
    """Put a trained net to other images: measure what it sees of them, choose what of it learns, and train that."""
    if compare and (table or plan != "auto"):
        raise UsageError("--compare tries all plans; leave out --plan and --table")
    numbers = sorted(set(whole_numbers("--sizes", sizes, "10,30,100")))
    check_output(csv)
    from striate.evaluate import Plan as Views
    from striate.train import RunFolder, Settings, reporter_for
    from striate.train.resolve import open_data
    from striate.train.transfer.cache import FeatureCache, cache_dir
    from striate.train.transfer.page import check_page_free
    from striate.train.transfer.project import Project
    from striate.train.transfer.source import open_source

    settings = Settings(
        data=data, size=size, batch_size=batch_size, val_fraction=val_fraction, test_fraction=test_fraction,
        data_dir=data_dir, device=device, precision=precision, workers=workers, threads=threads, seed=seed,
        output=output, name=name,
    )  # fmt: skip
    if table:
        check_page_free(settings)
    elif compare:  # which goes on in a folder of its name
        RunFolder.check_place(settings)
    else:
        RunFolder.check_free(settings)
    reporter = reporter_for()
    source = open_source(model, net=net, offline=offline)
    for note in source.notes:
        reporter.note(note)
    opened = open_data(settings)
    for note in opened.notes:
        reporter.note(note)
    project = Project.of(
        source,
        opened,
        settings,
        FeatureCache(cache or cache_dir(), source.net, note=reporter.note),
        places=tuple(words(layers or "")),
        views=Views.named(views).views,
        pool=pool,
        unit=unit,
        steps=steps,
        lr=lr,
    )
    page = {"source": source.name, "data": opened.name, "command": shlex.join(["striate", *sys.argv[1:]])}
    if table:
        return _table(project, words(classifiers), splits, per_class, csv, as_json, page)
    if compare:
        return _compare(project, reporter, numbers, seeds, as_json, page)
    return _carry_out(project, reporter, plan, as_json, page)


def _table(
    project: "Project",
    classifiers: list[str],
    splits: int,
    per_class: int | None,
    csv: Path | None,
    as_json: bool,
    page: dict[str, Any],
) -> int:
    """Layer by classifier: printed, drawn, and where asked for written as CSV."""
    import numpy as np

    from striate.atomic import write_bytes
    from striate.train.transfer.ladder import climb, ladder_csv
    from striate.train.transfer.page import write_page_in_folder

    train, classes = project.data.train, len(project.data.classes)
    part, exam = project.exam
    half = max(1, int(np.bincount(train.labels, minlength=classes).min()) // 2)  # or all draws would be the same
    ladder = climb(
        project.features(train),
        train.labels,
        project.features(exam),
        exam.labels,
        classes,
        classifiers=classifiers,
        splits=splits,
        per_class=per_class or half,
    )
    if as_json:
        print_json(transfer_print.ladder_as_json(ladder, part, len(exam)))
    else:
        transfer_print.print_ladder(ladder, project.data.name, part, len(exam))
    if csv is not None:
        write_bytes(csv, ladder_csv(ladder).encode())
    path = write_page_in_folder(project.settings, f"probes-{Path(project.data.name).name}", ladder=ladder, **page)
    if not as_json:
        typer.echo(f"report  {path}")
    return 0


def _compare(
    project: "Project", reporter: "Reporter", sizes: list[int], seeds: int, as_json: bool, page: dict[str, Any]
) -> int:
    """Every plan at every size: a line as each ends, then the table and the page."""
    from striate.data import class_counts
    from striate.train.progress import Silent
    from striate.train.transfer.comparison import compare
    from striate.train.transfer.page import write_page
    from striate.train.transfer.trials import PAGE

    folder = _comparison_folder(project)
    try:
        compared = compare(
            project,
            Silent(),
            sizes=sizes,
            seeds=seeds,
            told=lambda trial: reporter.note(transfer_print.trial_words(trial)),
            folder=folder,
            note=reporter.note,
        )
    except (KeyboardInterrupt, SystemExit):
        if folder.is_dir():
            reporter.note(f"the trials that ended are kept in {folder}; the same command goes on")
        raise
    path = folder / PAGE
    write_page(path, compared=compared, **page)
    if lost := [size for size in sizes if size not in compared.sizes]:
        counts = class_counts(project.data.train, project.data.classes)
        fewest = min(counts, key=counts.__getitem__)
        told = f"{', '.join(map(str, lost))}; {fewest!r} has {plural(counts[fewest], 'training image')}"
        reporter.note(f"sizes left out, for which a class has too few images: {told}")
    if as_json:
        print_json(transfer_print.comparison_as_json(compared))
    else:
        transfer_print.print_comparison(compared)
        typer.echo(f"report  {path}")
    return 0


def _carry_out(project: "Project", reporter: "Reporter", plan: str, as_json: bool, page: dict[str, Any]) -> int:
    """Measure, choose where the choice is left open, and do it."""
    from striate.train.transfer.page import write_page
    from striate.train.transfer.plans import PLANS, choose

    evidence = project.evidence()
    choice = choose(evidence) if plan == "auto" else None
    taken = choice.plan if choice is not None else next(known for known in PLANS if known == plan)
    if not as_json:
        transfer_print.print_evidence(evidence, choice)
    done = project.carry_out(taken, reporter)
    path = done.folder.path / "transfer.html"
    write_page(path, evidence=evidence, choice=choice, done=done, **page)
    if as_json:
        print_json(transfer_print.done_as_json(done, evidence, choice))
        return 0
    right = f"{plain_percent(done.accuracy, 2)} on {plural(done.samples, 'image')}"
    typer.echo(f"{done.plan}: {done.part} accuracy {right}; {done.told}")
    typer.echo(f"model   {done.folder.model}")
    typer.echo(f"report  {path}")
    return 0


def _comparison_folder(project: "Project") -> Path:
    """The one that is named; else the one that was stopped of this very subject, or a new one."""
    from striate.train.transfer.project import free_name
    from striate.train.transfer.trials import stopped_in

    settings, default = project.settings, f"transfer-{Path(project.data.name).name}"
    output = Path(settings.output)
    if settings.name is not None:
        return output / settings.name
    return stopped_in(output, default, project) or output / free_name(settings, default)
