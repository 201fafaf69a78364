"""`striate train`: every setting as a flag; what is not given comes from the config, the recipe, the defaults."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from striate.cli.failure import UsageError
from striate.cli.lists import whole_numbers
from striate.errors import StriateError
from striate.pages.wording import plain_percent, plural

if TYPE_CHECKING:
    from striate.train import Ended, Settings

__all__ = ["NOT_SETTINGS", "assignment", "train", "with_net_settings"]

# Parameters of the command that are not fields of striate.train.Settings; all the others are, name for name.
NOT_SETTINGS = frozenset({"recipe", "config", "set_net", "activation", "resume"})


def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help="A name (digits, mnist, …), a folder, zip, pack or CSV.  [default: digits]"
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="The net; `striate models` lists them.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Start from a recipe, by name or file.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings; flags win over it.")] = None,
    set_net: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the net, e.g. dropout=0.5; may be repeated."),
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="In place of the ReLUs of the net: leaky_relu, prelu, elu, gelu, tanh, …")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="How weights begin: he, xavier, orthogonal, lsuv, …; not given: the net's own.")
    ] = None,
    pretrained: Annotated[str | None, typer.Option(help="Start from a file's weights, or 'published' ones.")] = None,
    freeze: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Nothing moves up to this stage; all: only the scores learn.")
    ] = None,
    unfreeze_epochs: Annotated[int | None, typer.Option(help="Every so many epochs a stage more learns.")] = None,
    depth_decay: Annotated[float | None, typer.Option(help="Rate of a stage, by that of the one behind it.")] = None,
    anchor: Annotated[float | None, typer.Option(help="Pull weights to where they began (L2-SP).")] = None,
    freeze_norms: Annotated[bool | None, typer.Option(help="Batch norms keep to their running statistics.")] = None,
    head_probe: Annotated[bool | None, typer.Option(help="The scores begin as a classifier of the features.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    repeat: Annotated[int | None, typer.Option(help="Times an epoch shows each image, for few images.")] = None,
    max_steps: Annotated[int | None, typer.Option("--steps", "--max-steps", help="Updates after which to end.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", "-b", help="Images in a batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate, at its highest.")] = None,
    optimizer: Annotated[Literal["sgd", "adamw"] | None, typer.Option(help="How a gradient becomes a step.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum of sgd.")] = None,
    nesterov: Annotated[bool | None, typer.Option(help="Nesterov's momentum.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decay of the weights.")] = None,
    decay_all: Annotated[bool | None, typer.Option(help="Decay biases and normalisation, too.")] = None,
    schedule: Annotated[
        Literal["constant", "step", "plateau", "cosine", "onecycle"] | None, typer.Option(help="How the rate changes.")
    ] = None,
    warmup_epochs: Annotated[float | None, typer.Option(help="Epochs in which the rate rises from nothing.")] = None,
    milestones: Annotated[
        str | None, typer.Option(metavar="E1,E2,…", help="Epochs after which `step` lowers the rate.")
    ] = None,
    gamma: Annotated[float | None, typer.Option(help="The factor of `step` and `plateau`.")] = None,
    plateau_epochs: Annotated[int | None, typer.Option(help="Epochs without gain before `plateau` acts.")] = None,
    peak_fraction: Annotated[float | None, typer.Option(help="Share of the run before `onecycle` peaks.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Probability spread over all classes.")] = None,
    clip_grad: Annotated[float | None, typer.Option(help="Largest L2 norm of the gradient.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches that make one step.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the weights' running average, e.g. 0.999.")] = None,
    early_stop: Annotated[
        int | None, typer.Option("--patience", "--early-stop", help="Epochs without gain before the run ends.")
    ] = None,
    explosion: Annotated[float | None, typer.Option(help="Loss, in first losses, that ends the run; 0: never.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels, height and width, that the net sees.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 (grey) or 3 (RGB).")] = None,
    resize: Annotated[Literal["crop", "squash"] | None, typer.Option(help="Keep proportions, or the borders.")] = None,
    preprocess: Annotated[
        Literal["channel", "mean-image", "pca", "zca"] | None,
        typer.Option(help="Normalise channels alone, or take the mean image away, or whiten."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The noise: none, light, alexnet, resnet, strong, auto, or a TOML file.")
    ] = None,
    mixup: Annotated[float | None, typer.Option(metavar="ALPHA", help="Mix pairs of images, as Mixup does.")] = None,
    cutmix: Annotated[float | None, typer.Option(metavar="ALPHA", help="Paste pieces, as CutMix does.")] = None,
    pad: Annotated[int | None, typer.Option(help="Pixels to pad by before a random crop; 0: none.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Mirror half of the images.")] = None,
    sampling: Annotated[
        str | None,
        typer.Option(metavar="all|balanced|FILE.csv", help="How often an epoch holds an image: once, or by weights."),
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Which of --ranks this is; not given: as torchrun says.")] = None,
    ranks: Annotated[int | None, typer.Option(help="Processes that share out the images.")] = None,
    val_fraction: Annotated[float | None, typer.Option(help="Share set aside to choose by.")] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share set aside to test on.")] = None,
    split_seed: Annotated[int | None, typer.Option(help="Another seed, another split.")] = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="Stop at a file that cannot be used.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    watch: Annotated[bool | None, typer.Option(help="Watch the layers, and say what ails the run.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, …")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None, typer.Option(help="auto measures and takes the faster.")
    ] = None,
    channels_last: Annotated[bool | None, typer.Option(help="Memory format; not given: measured.")] = None,
    compile: Annotated[bool | None, typer.Option(help="Compile the net with torch.compile.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that compute.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-j", help="Threads that load.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order and noise.")] = None,
    output: Annotated[str | None, typer.Option(metavar="DIR", help="Where run folders are made.")] = None,
    name: Annotated[str | None, typer.Option(help="The run's name; not given: net and data.")] = None,
    keep: Annotated[int | None, typer.Option(help="Newest checkpoints kept.")] = None,
    checkpoint_minutes: Annotated[float | None, typer.Option(help="Save at least this often.")] = None,
    checkpoint_steps: Annotated[int | None, typer.Option(help="Save every so many steps, too.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run: DATA is its folder, or the newest one in --output.")
    ] = False,
) -> int:
    """Train a net on images; with nothing given, LeNet-5 on scikit-learn's digits.

    Flags win over --config, which wins over --recipe.
    """
    from striate.face import settings_for
    from striate.train import reporter_for
    from striate.train import resume as resume_run
    from striate.train import start as start_run

    flags = {key: value for key, value in ctx.params.items() if key not in NOT_SETTINGS and value is not None}
    if resume:
        _only(flags, recipe=recipe, config=config, set_net=set_net or None, activation=activation)
        return _conclude(resume_run(_run_to_resume(data, output, name), reporter_for(), workers=workers))
    try:
        if milestones is not None:
            flags["milestones"] = whole_numbers("--milestones", milestones, "60,90", least=0)
        settings = settings_for(recipe=recipe, config=config, flags=flags)
        settings = with_net_settings(settings, set_net, activation)
    except StriateError as error:
        raise UsageError(str(error)) from error
    return _conclude(start_run(settings, reporter_for()))


def with_net_settings(settings: "Settings", assignments: list[str] | None, activation: str | None) -> "Settings":
    """The settings with those of the net itself, as `--set` and `--activation` give them."""
    given = dict(map(assignment, assignments or ()))
    if activation is not None:
        given["activation"] = activation
    return settings.replace(model_settings=settings.model_settings | given)


def _only(flags: dict[str, Any], **others: Any) -> None:
    """Refuse what would change a run that is being resumed."""
    changed = {key for key, value in others.items() if value is not None} | set(flags)
    refused = sorted(changed - {"data", "output", "name", "workers"})
    if refused:
        flag = "--set" if refused[0] == "set_net" else f"--{refused[0].replace('_', '-')}"
        raise UsageError(f"a resumed run keeps its settings: {flag} cannot change; only -j/--workers may")


def _run_to_resume(run: str | None, output: str | None, name: str | None) -> Path:
    """The run that is meant: the folder given, the one named, or the one whose log is newest."""
    from striate.train import RunFolder

    folder = Path(output or "runs")
    if run is not None:
        return Path(run)
    if name is not None:
        return folder / name
    newest = RunFolder.newest_in(folder)
    if newest is None:
        raise StriateError(f"no run in {folder} to resume; give its folder: striate train --resume RUN")
    return newest


def assignment(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as TOML reads it where it can: 0.5, true, [64, 64]; a text otherwise.

    >>> assignment("dropout=0.5"), assignment("pool=max")
    (('dropout', 0.5), ('pool', 'max'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"--set {text}: expected NAME=VALUE, e.g. dropout=0.5")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _conclude(ended: "Ended") -> int:
    """Say what came out and where it lies; returns the exit code."""
    folder, outcome, final = ended.folder, ended.outcome, ended.final
    if outcome.signal is not None:
        typer.echo(f"{outcome.sentence}; go on with: striate train --resume {folder.path}", err=True)
        return 128 + outcome.signal
    if final is not None:
        typer.echo(
            f"{final.part} accuracy {plain_percent(final.accuracy, 2)} on {plural(final.samples, 'image')}, "
            f"loss {final.loss:.4f}"
        )
    typer.echo(f"model   {folder.model}")
    typer.echo(f"report  {folder.report}")
    return 0
