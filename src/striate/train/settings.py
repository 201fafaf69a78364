"""What a run is told: one frozen record, read from defaults, a recipe, a TOML file and flags, in that order.

`None` means "decide for me"; `striate.train.resolve` replaces every `None` that the run depends on before training
starts, and the resolved record is what `config.toml` in the run folder holds.
"""

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w

from striate.errors import StriateError, UnknownName, given, unknown
from striate.home import at_home
from striate.plain import is_number, plain, whole

__all__ = ["Settings", "plain_values", "read_toml", "settings_from", "to_toml"]

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "step", "plateau", "cosine", "onecycle"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides what a run computes, and where it puts it."""

    # what is learnt, from what
    data: str = "digits"
    model: str = "lenet5"
    model_settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # the net's own, e.g. dropout
    init: str | None = None  # how weights begin (striate.nets.initialise.SCHEMES); None: as the net's paper says
    pretrained: str | None = None  # a file whose weights the net starts from, "published", …

    # what of the net learns (striate.train.transfer.tuning)
    freeze: str = ""  # the stage up to which nothing moves; "all": everything but the layer that gives the scores
    unfreeze_epochs: int = 0  # only that layer learns at first, and every so many epochs a stage more; 0: all at once
    depth_decay: float = 1.0  # each stage learns at this share of the rate of the one behind it
    anchor: float = 0.0  # pull of the weights to where they began (L2-SP), in place of their decay
    freeze_norms: bool = False  # batch norms go by their running statistics and leave them as they are
    head_probe: bool = False  # the layer that gives the scores begins as a classifier fitted to what it is given

    # how data are read
    data_dir: str | None = None
    size: int | None = None  # pixels, square; None: the net's native size
    channels: int | None = None  # 1 or 3; None: what the images have
    resize: Literal["crop", "squash"] = "crop"
    preprocess: Literal["channel", "mean-image", "pca", "zca"] = "channel"  # what is taken from the training images
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    split_seed: int = 0
    strict: bool = False

    # noise
    policy: str = "light"  # none, light, alexnet, resnet, strong, auto, a TOML file, or "own" for the table `noise`
    noise: dict[str, Any] = dataclasses.field(default_factory=dict)  # the policy itself, written into the run's config
    mixup: float = 0.0  # alpha of Mixup's Beta law; 0: no mixing
    cutmix: float = 0.0  # alpha of CutMix's
    pad: int | None = None  # pad by this many pixels, then crop; None: a sixteenth of the size
    flip: bool | None = None  # mirror half of the images; None: when the data say that a mirrored image keeps its class

    # which images an epoch holds
    sampling: str = "all"  # all once, balanced, a CSV file of weights, or "own" for the table `sample_weights`
    sample_weights: dict[str, Any] = dataclasses.field(default_factory=dict)  # as the file had them (data/weights.py)
    rank: int | None = None  # of `ranks` processes, each of which sees its share; None: as torchrun says, else the only
    ranks: int | None = None

    # optimisation
    epochs: int = 40
    repeat: int = 1  # times that an epoch shows each training image, under other noise: for sets of few images
    max_steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1  # batches whose gradients are summed into one step
    optimizer: Optimizer = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    decay_all: bool = False  # decay biases and normalisation parameters too
    clip_grad: float | None = None  # largest allowed L2 norm of the whole gradient
    label_smoothing: float = 0.1
    schedule: Schedule = "cosine"
    warmup_epochs: float | None = None  # None: none, or ten steps' worth where an epoch has fewer
    milestones: tuple[int, ...] = ()  # epochs after which `step` multiplies the rate by gamma
    gamma: float = 0.1  # the factor of `step` and `plateau`
    plateau_epochs: int = 5  # epochs without a better validation error before `plateau` acts
    peak_fraction: float = 0.25  # share of the run at which `onecycle` reaches its peak
    ema: float = 0.99  # decay of the running average of the weights; 0: no average
    early_stop: int | None = None  # epochs without a better validation error before the run ends
    explosion: float = 3.0  # a loss over this many times its first value ends the run (0: never)

    # what is looked at meanwhile
    watch: bool = True  # gradients, updates, activations and norms at intervals, and what they mean

    # the machine
    device: str = "auto"
    precision: Precision = "auto"
    channels_last: bool | None = None  # None: measured once
    compile: bool = False
    threads: int | None = None  # of computation; None: torch's number or one, measured once
    workers: int = 2  # threads that load
    seed: int = 0

    # the run folder
    output: str = "runs"
    name: str | None = None
    keep: int = 2  # newest checkpoints kept
    checkpoint_minutes: float = 5.0  # besides the one at the end of each epoch
    checkpoint_steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no run can use, each with one line."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise StriateError(f"{_flag(field.name)} {value}: expected a finite number")
        if self.seed >= 2**63:
            raise StriateError(f"--seed {self.seed}: expected less than 2**63")
        for name, low in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise StriateError(f"{_flag(name)} {value}: expected {low} or more")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise StriateError(f"{_flag(name)} {value}: expected more than 0")
        for name in _FRACTIONS:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise StriateError(f"{_flag(name)} {value}: expected at least 0 and below 1")
        if self.channels not in (None, 1, 3):
            raise StriateError(f"--channels {self.channels}: expected 1 (grey) or 3 (RGB)")

    def replace(self, **changes: Any) -> "Settings":
        """A copy with some fields changed (checked as on construction)."""
        return dataclasses.replace(self, **changes)

    @property
    def split(self) -> dict[str, Any]:
        """What decides which images of the data are trained on, and which are kept back."""
        return {name: getattr(self, name) for name in ("val_fraction", "test_fraction", "split_seed")}


_AT_LEAST = {
    "size": 1,
    "unfreeze_epochs": 0,
    "anchor": 0,
    "epochs": 1,
    "repeat": 1,
    "max_steps": 1,
    "batch_size": 1,
    "accumulate": 1,
    "workers": 0,
    "threads": 1,
    "keep": 1,
    "pad": 0,
    "mixup": 0,
    "cutmix": 0,
    "warmup_epochs": 0,
    "weight_decay": 0,
    "explosion": 0,
    "seed": 0,
    "rank": 0,
    "ranks": 1,
    "checkpoint_steps": 1,
    "checkpoint_minutes": 0,
    "plateau_epochs": 1,
    "early_stop": 1,
}
_PATHS = ("data", "data_dir", "output", "policy", "pretrained", "sampling")  # or names, which begin with no ~
_POSITIVE = ("depth_decay", "lr", "clip_grad", "gamma", "peak_fraction")
_FRACTIONS = ("val_fraction", "test_fraction", "momentum", "label_smoothing", "ema", "peak_fraction")


def settings_from(*layers: Mapping[str, Any], base: Settings | None = None) -> Settings:
    """Settings built from layers of plain values, later ones winning over earlier ones and over `base`.

    Raises StriateError for a name that is not a setting ("did you mean") and for a value of the wrong type.
    """
    merged: dict[str, Any] = {} if base is None else {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
    hints = get_type_hints(Settings)
    for layer in layers:
        for name, value in layer.items():
            if name not in hints:
                raise UnknownName(unknown("setting", name, hints))
            merged[name] = _coerce(name, value, hints[name])
    return Settings(**merged)


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file; one clear line when it cannot be read."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StriateError(f"{path} is not valid TOML: {error}") from error


def to_toml(settings: Settings) -> str:
    """The settings as TOML; a `None` is left out, as TOML has no such value."""
    values = dataclasses.asdict(settings)
    return tomli_w.dumps({name: value for name, value in values.items() if value is not None})


def plain_values(settings: Settings) -> dict[str, Any]:
    """The settings as TOML, and JSON, give them back."""
    return tomllib.loads(to_toml(settings))


def _coerce(name: str, value: Any, hint: Any) -> Any:
    """The value as the field's type, or one line that says which type was expected."""
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        origin = get_origin(option)
        if option is type(None) and value is None:
            return None
        if origin is Literal:
            if value in get_args(option):
                return value
            raise UnknownName(unknown(_flag(name), str(value), [str(choice) for choice in get_args(option)]))
        if origin is dict and isinstance(value, Mapping):
            return plain(value)
        if origin is tuple and isinstance(value, (list, tuple)) and None not in (items := tuple(map(whole, value))):
            return items
        if option is float and is_number(value):
            return _float(value)
        if option is int and (number := whole(value)) is not None:
            return number
        if option is str and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if option is str and name in _PATHS and isinstance(value, str) and value.startswith("~"):
            return os.fspath(at_home(value))
        if option in (bool, str) and type(value) is option:
            return value
    expected = " or ".join(_describe(option) for option in options if option is not type(None))
    raise StriateError(f"{_flag(name)}: expected {expected}, got {given(value)}")


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:  # larger than a float can be; refused as infinite
        return math.inf


def _describe(option: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if get_origin(option) is tuple:
        return "a list of whole numbers"
    return names.get(option, "a table")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
