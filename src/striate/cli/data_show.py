"""`striate data show`: what a policy of noise does to these images, or did to one of them in a certain epoch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli.failure import UsageError
from striate.cli.files import check_output
from striate.cli.table import print_json

if TYPE_CHECKING:
    from striate.augment import Draws, Policy
    from striate.data import Preprocess, Samples

__all__ = ["show"]

SHOWN_SIZE = 224  # px, where nothing else says how large the net's input is


def show(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Images, as for train; or a run folder, for its noise.")],
    policy: Annotated[
        str | None, typer.Option(help="none, light, alexnet, resnet, strong, auto, or a TOML file.  [default: light]")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=0, help="One training image, by number, instead of a sheet.")
    ] = None,
    epoch: Annotated[int, typer.Option(min=0, help="The epoch, counted from 0; a sheet begins with it.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="The run's seed.  [default: 0]")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels, height and width, that a net would see.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Images on a sheet.")] = 6,
    columns: Annotated[int, typer.Option(min=1, help="Epochs on a sheet.")] = 7,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The picture.")] = Path("noise.png"),
    data_dir: Annotated[str | None, typer.Option(help="Where named sets lie or are downloaded to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was drawn as JSON.")] = False,
) -> None:
    """Draw a sheet of augmented images, or rebuild one image of one epoch, and say what was drawn for it."""
    from striate.look.noise import contact_sheet, draws_of, noisy_view

    kind = _kind_of(output)
    check_output(output)
    samples, preprocess, drawn, seed, reason = _subject(data, policy, seed, size, data_dir)
    if sample is not None:
        _write(noisy_view(samples, preprocess, drawn, seed=seed, epoch=epoch, sample=sample), output, kind)
        draws = draws_of(samples, preprocess, drawn, seed=seed, epoch=epoch, sample=sample)
        _tell(draws, samples.name(sample), reason, output, as_json)
        return
    count = min(rows, len(samples))
    chosen = [i * len(samples) // count for i in range(count)]  # spread over the classes, which often come in order
    epochs = range(epoch, epoch + columns)
    _write(contact_sheet(samples, preprocess, drawn, seed=seed, chosen=chosen, epochs=epochs), output, kind)
    if as_json:
        print_json({"policy": reason, "samples": chosen, "epochs": list(epochs), "file": str(output)})
    else:
        print(f"{reason}\nrows: samples {', '.join(map(str, chosen))}; columns: as tested, then epochs "
              f"{epochs[0]} to {epochs[-1]}\n{output}")  # fmt: skip


def _subject(
    data: str, policy: str | None, seed: int | None, size: int | None, data_dir: str | None
) -> "tuple[Samples, Preprocess, Policy, int, str]":
    """The training part, how it is read, the policy, the seed, and the policy in words; a run's own where it is one."""
    from striate.data import Preprocess
    from striate.errors import StriateError
    from striate.nets.weights import read_card
    from striate.train import RunFolder, Settings
    from striate.train.colours import Colours
    from striate.train.noise import choose_policy, describe, matched_to, policy_of, with_policy
    from striate.train.resolve import check_at_hand, open_data, resolve

    if (Path(data) / "config.toml").is_file():
        if policy is not None or size is not None:
            raise StriateError(f"{data} is a run, with a policy and a size of its own; leave out --policy and --size")
        folder = RunFolder.open(Path(data))
        settings = folder.settings()
        preprocess = Preprocess.from_dict(dict(read_card(folder.trained_model()).preprocess))
        check_at_hand(folder, settings)
        samples = open_data(settings).train
        reason = f"policy {settings.policy} of {data}"
    else:
        settings = Settings(
            data=data, data_dir=data_dir, policy=policy or "light", size=size or SHOWN_SIZE, seed=seed or 0
        )
        opened = open_data(settings)
        samples = opened.train
        if size is None:
            settings = settings.replace(size=min(SHOWN_SIZE, *samples.pixels(0, 3).shape[:2]))  # icons stay icons
        settings = resolve(settings, opened)
        colours = Colours(settings, opened)
        chosen = choose_policy(settings, opened, colours)
        preprocess = matched_to(chosen.policy, colours.preprocess())
        settings = with_policy(settings, chosen.policy)
        reason = f"policy {chosen.told(settings.policy)}"
    drawn = policy_of(settings, preprocess)
    return samples, preprocess, drawn, settings.seed if seed is None else seed, f"{reason}: {describe(drawn)}"


def _kind_of(output: Path) -> str:
    """The format that a picture's name asks for, as Pillow calls it."""
    from PIL import Image

    kind = Image.registered_extensions().get(output.suffix.lower())
    if kind not in Image.SAVE:
        raise UsageError(f"--output {output} is no name of a picture; give one that ends in .png")
    return kind


def _write(pixels: Any, output: Path, kind: str) -> None:
    from PIL import Image

    from striate.atomic import replace_file
    from striate.errors import StriateError

    try:
        with replace_file(output) as file:
            Image.fromarray(pixels.squeeze()).save(file, kind)
    except ValueError as error:  # a format that lacks such pixels
        raise StriateError(f"cannot write {output}: {error}") from error


def _tell(draws: "Draws", name: str, reason: str, output: Path, as_json: bool) -> None:
    lens = None if draws.lens is None else draws.lens[0].tolist()
    colour = None if draws.colour is None else draws.colour[0].tolist()
    steps = [{"step": step.kind, "numbers": step.numbers[0].tolist()} for step in draws.steps]
    if as_json:
        drawn = {"geometry": draws.geometry[0].tolist(), "lens": lens, "colour": colour, "steps": steps}
        print_json({"name": name, "policy": reason, **drawn, "file": str(output)})
        return
    print(f"{name}\n{reason}\n\ngeometry, output px → source px")
    for row in draws.geometry[0]:
        print("  " + "  ".join(f"{value:11.5f}" for value in row))
    if lens is not None:
        print(f"lens  k1 {lens[0]:.4f}, k2 {lens[1]:.4f}")
    if colour is not None:
        print("colour, bytes → bytes")
        for row in colour:
            print("  " + "  ".join(f"{value:9.4f}" for value in row))
    for step in steps:
        print(f"step  {step['step']} {', '.join(f'{number:g}' for number in step['numbers'])}".rstrip())
    print(f"\n{output}")
