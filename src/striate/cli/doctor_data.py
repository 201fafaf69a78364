"""`striate doctor data`: how fast each stage of loading could go, which one holds the run back, and what to turn."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.table import print_json, print_table

if TYPE_CHECKING:
    from striate.data.ceilings import Ceiling

__all__ = ["data", "verdict"]

KNOBS = {
    "read": "images on a local disk; `striate pack DATA out.arrow` makes one file of them",
    "mapped": "the file on a local disk",
    "decode": "-j up to the number of cores; `striate pack DATA out.arrow --size N` leaves nothing to decode",
    "augment": "-j up to the number of cores; a smaller --size; a lighter --policy",
    "transfer": "a smaller --size; a set in memory that fits stays on the GPU by itself",
    "compute": "nothing here: the net is what takes the time (--precision, --size, another net)",
}
WHAT = {
    "read": "bytes from the disk",
    "decode": "bytes to pixels, and the resize that is kept",
    "augment": "noise, resampling, normalisation",
    "transfer": "to the GPU",
    "loader": "all of these together, as a run has them",
    "compute": "one training step of the net",
}
SHOWN_SIZE = 224  # px, where no net says how large its input is
CLOSE = 1.1  # a loader within a tenth of what the net takes is not what to mend first


def data(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Images, as for train.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Measure this net's training step, too.  [default: none]")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="none, light, alexnet, resnet, strong, auto, or a TOML file.  [default: light]")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels, height and width, that the net sees.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images in a batch.")] = 64,
    workers: Annotated[int, typer.Option("--workers", "-j", min=0, help="Threads that load.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = "auto",
    images: Annotated[int, typer.Option(min=1, help="Images to measure with.")] = 512,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="Where named sets lie or are downloaded to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure each stage of loading, and say which one to mend."""
    from striate.data import Preprocess
    from striate.data import open as open_data
    from striate.data.ceilings import ceilings
    from striate.data.samples import FileSamples
    from striate.train import Settings
    from striate.train.colours import Colours
    from striate.train.noise import choose_policy, policy_of, with_policy
    from striate.train.resolve import pick_device, resolve

    settings = Settings(data=data, batch_size=batch_size, workers=workers, device=device, size=size)
    settings = settings.replace(model=model or settings.model, policy=policy or settings.policy)
    found = open_data(data, data_dir=data_dir, check=False)
    if size is None and model is None:
        settings = settings.replace(size=SHOWN_SIZE)
    settings = resolve(settings, found)
    settings = with_policy(settings, choose_policy(settings, found, Colours(settings, found)).policy)
    assert settings.size is not None
    assert settings.channels is not None
    square, channels = (settings.size, settings.size), settings.channels
    preprocess = Preprocess(channels=channels, size=square, mean=(0.5,) * channels, std=(0.25,) * channels)
    where = pick_device(device)
    measured = ceilings(
        found.train,
        preprocess,
        policy=policy_of(settings, preprocess),
        batch_size=settings.batch_size,
        workers=workers,
        device=where if where.type != "cpu" else None,
        step=None if model is None else _step(model, len(found.classes), channels, square, where),
        images=images,
        note=lambda sentence: typer.echo(sentence, err=True),
    )
    files = isinstance(found.train, FileSamples)
    if as_json:
        rates = {one.stage: one.images_per_second for one in measured}
        print_json({"data": data, "threads": workers, "images_per_second": rates, "verdict": verdict(measured, files)})
        return
    print(f"{found.name}: {square[0]}×{square[1]} px, policy {settings.policy}, {workers} loading threads, {where}\n")
    print_table(
        ["stage", "images/s", "", "what to turn"],
        [
            [_told(one.stage), round(one.images_per_second), WHAT[one.stage], _knob(one.stage, files)]
            for one in measured
        ],
        right=["images/s"],
    )
    print(f"\n{verdict(measured, files)}")


def verdict(measured: "list[Ceiling]", files: bool = True) -> str:
    """One sentence: what holds the run back, and what to turn. `files`: the images lie in a file each."""
    rates = {one.stage: one.images_per_second for one in measured}
    loader, compute = rates["loader"], rates.get("compute")
    slowest = min((stage for stage in rates if stage not in ("loader", "compute")), key=lambda stage: rates[stage])
    if compute is not None and loader >= CLOSE * compute:
        sentence = _sentence("compute", files)
        return f"The net is the limit: loading takes {compute / loader:.0%} of its step's time. {sentence}"
    against = "" if compute is None else f", where the net would take {compute:,.0f}"
    sentence = _sentence(slowest, files)
    return f"Loading makes {loader:,.0f} images/s{against}; its slowest stage is {_told(slowest)}. {sentence}"


def _told(stage: str) -> str:
    """As `train` and its report call it."""
    from striate.train.report.record import STAGE_NAMES

    return STAGE_NAMES.get(stage, stage)


def _sentence(stage: str, files: bool) -> str:
    return f"What to turn: {_knob(stage, files)}."


def _knob(stage: str, files: bool) -> str:
    return KNOBS.get("mapped" if stage == "read" and not files else stage, "")


def _step(model: str, classes: int, channels: int, size: tuple[int, int], device: Any) -> Any:
    """One forward and backward pass of a net on a batch."""
    from striate.nets import create_model

    net = create_model(model, num_classes=classes, in_chans=channels, input_size=size).to(device)
    net.train()

    def step(images: Any) -> None:
        net(images).sum().backward()
        net.zero_grad()

    return step
