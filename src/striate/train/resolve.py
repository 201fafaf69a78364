"""Settings with every open question answered: the data, noise and device they name, and what `None` and "auto" mean."""

import torch

from striate import data as data_room
from striate.data import Dataset, Samples
from striate.data.opener import SPECS
from striate.errors import StriateError
from striate.home import at_home
from striate.nets import model_info
from striate.pages.wording import plural
from striate.train.folder import RunFolder
from striate.train.noise import PADDED
from striate.train.settings import Settings

__all__ = ["WARMUP_STEPS", "check_at_hand", "idle_milestones", "is_away", "open_data", "pick_device", "resolve"]

WARMUP_STEPS = 10  # 1/(1 − 0.9): by then the default momentum weighs its gradients as it will from there on


def open_data(settings: Settings) -> Dataset:
    """The data these settings name, split as they say."""
    return data_room.open(
        settings.data,
        data_dir=settings.data_dir,
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        split_seed=settings.split_seed,
        strict=settings.strict,
    )


def is_away(data: str) -> bool:
    """Whether a run's data are not where it found them: they were moved, or the path is relative to another folder."""
    return data not in SPECS and "," not in data and not at_home(data).exists()


def check_at_hand(folder: RunFolder, settings: Settings) -> None:
    """Raise StriateError, with what to do, where a run's data are not where it found them."""
    if is_away(settings.data):
        raise StriateError(
            f"{folder.path} was begun on {settings.data!r}, which is not here; write its place into {folder.config} "
            "(data), or go to the folder where it began"
        )


def resolve(settings: Settings, data: Dataset) -> Settings:
    """The settings for these data, all but precision, memory format and threads, which are measured on
    the net itself.

    The images' size is the net's published one, in whose place `size` stands; images are mirrored where the data allow
    it.

    Raises StriateError for a `pad` that the policy has no use for, for what goes by validation images where there are
    none, for steps of the rate that nobody placed, and for more ranks than images.
    """
    if settings.pad is not None and settings.policy not in PADDED:
        raise StriateError(f"--pad belongs to --policy light; with {settings.policy} leave it out")
    if data.val is None and (settings.early_stop is not None or settings.schedule == "plateau"):
        flag = "--patience" if settings.early_stop is not None else "--schedule plateau"
        raise StriateError(f"{flag} goes by validation images, and there are none; leave it out, or see --val-fraction")
    if settings.schedule == "step" and not settings.milestones:
        raise StriateError(
            "--schedule step lowers the rate after the epochs that --milestones lists, and it lists none; "
            "give them, such as --milestones 20,30"
        )
    ranks = settings.ranks or 1
    if len(data.train) < ranks:
        raise StriateError(
            f"--ranks {ranks}: there are {len(data.train)} training images; give no more ranks than that"
        )
    native = model_info(settings.model).input_size
    size = settings.size or min(native)
    return settings.replace(
        size=size,
        channels=settings.channels or _channels(data.train),
        flip=data.mirror if settings.flip is None else settings.flip,
        device=str(pick_device(settings.device)),
        batch_size=min(settings.batch_size, settings.repeat * len(data.train) // ranks),
        warmup_epochs=_warmup_epochs(settings, settings.repeat * len(data.train) // ranks),
    )


def _warmup_epochs(settings: Settings, images: int) -> float:
    """The warm-up that a run on so few images needs, where none is given.

    The first gradients are the largest (the net's first guesses are confidently wrong), and momentum gathers them; a
    rate that is right from the tenth step on throws such a net away at its second. Sets with longer epochs, and
    `onecycle`, which climbs by itself, begin as they always did.
    """
    if settings.warmup_epochs is not None:
        return settings.warmup_epochs
    batches = max(1, images // min(settings.batch_size, images))
    steps = -(-batches // settings.accumulate)
    if settings.schedule == "onecycle" or steps >= WARMUP_STEPS:
        return 0.0
    return WARMUP_STEPS / steps


def idle_milestones(settings: Settings) -> str | None:
    """What is to be said of milestones after which no rate is lowered; None where there are none."""
    idle = [epoch for epoch in settings.milestones if settings.schedule != "step" or epoch >= settings.epochs]
    if not idle:
        return None
    reason = f"the run has {plural(settings.epochs, 'epoch')}"
    if settings.schedule != "step":
        reason = f"they are those of --schedule step, and this is {settings.schedule}"
    return f"no rate is lowered after --milestones {','.join(map(str, idle))}: {reason}"


def _channels(samples: Samples) -> int:
    """What an array or a pack of pixels holds; files are read as RGB, whatever each of them is."""
    return getattr(samples, "channels", 3)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU where there is one. One clear line when it is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise StriateError(f"--device {name!r} is not a device torch knows; try cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise StriateError(f"--device {name}: runs train on cpu and cuda, not on {device.type}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise StriateError(f"--device {name}: torch finds no GPU here; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise StriateError(f"--device {name}: this machine has {torch.cuda.device_count()} GPU(s), counted from 0")
    return device
