"""What may be searched: for each setting a range or a few choices, and how either is written.

    1e-6:1e-3:log      a range whose logarithm is uniform, as rates and decays want it
    0.0:0.6            a range, uniform; of whole numbers where the setting is one
    sgd,adamw          choices

A dimension is named by its setting (`lr`), or `model_settings.hidden` for a setting of the net itself. `place` and
`at` lead from a value to the unit interval and back: whatever draws, narrows or plots works there.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args, get_type_hints

from striate.errors import StriateError, unknown
from striate.nets import model_info
from striate.train import Settings, settings_from
from striate.train.noise import check_policy

__all__ = [
    "NET",
    "Choices",
    "Dimension",
    "Range",
    "Space",
    "apply",
    "dimension",
    "flag",
    "parse",
    "space_from",
    "value_text",
    "written",
]

NET = "model_settings."  # the prefix of the net's own settings

# What a search may not vary, and why; shown when somebody tries.
_FIXED = {
    **dict.fromkeys(("data", "data_dir", "strict"), "it decides which images there are"),
    **dict.fromkeys(
        ("val_fraction", "test_fraction", "split_seed"), "trials on other validation images cannot be compared"
    ),
    **dict.fromkeys(("device", "threads", "workers", "compile"), "it decides how fast, not how good"),
    **dict.fromkeys(("output", "name", "keep", "checkpoint_minutes", "checkpoint_steps"), "it changes no result"),
    **dict.fromkeys(("epochs", "max_steps"), "each stage has its own: --stages TRIALSxEPOCHS,…"),
    "seed": "the luckiest draw is no setting; compare seeds of the best instead",
    "explosion": "it says which trials are ended",
    "noise": "name policies: --policy none,light",
    "milestones": "a list has no range; give one list",
}


@dataclass(frozen=True, kw_only=True)
class Range:
    """Every number from `low` to `high`, evenly, or evenly in the logarithm; `whole`: whole numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise StriateError(f"range {self}: expected LOW:HIGH, two numbers, the smaller first")
        if self.log and self.low <= 0:
            raise StriateError(f"range {self}: a logarithm needs a LOW above 0")

    def __str__(self) -> str:
        ends = [_digits(end, self.whole) for end in (self.low, self.high)]
        return ":".join([*ends, *(["log"] if self.log else [])])

    def place(self, value: float) -> float:
        """Where `value` lies between the ends: 0 at `low`, 1 at `high`."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        return ((math.log(value) if self.log else value) - low) / (high - low)

    def at(self, place: float) -> float | int:
        """The value at a place in the unit interval, or beyond it."""
        if self.log:
            value = math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + place * (self.high - self.low)
        if 0 <= place <= 1:
            value = min(max(value, self.low), self.high)  # rounding must not leave the range
        return round(value) if self.whole else value

    def points(self, count: int) -> list[float | int]:
        """`count` values at equal distances, the ends included; fewer where whole numbers fall together."""
        places = [0.5] if count == 1 else [i / (count - 1) for i in range(count)]
        return list(dict.fromkeys(self.at(place) for place in places))


@dataclass(frozen=True, kw_only=True)
class Choices:
    """One of a few values, in no order."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(set(map(repr, self.options))) < 2:
            raise StriateError(f"choices {self}: expected two or more different ones")

    def __str__(self) -> str:
        return ",".join(_plain(option) for option in self.options)

    def place(self, value: Any) -> float:
        """Its place among the others, 0 to 1."""
        return self.options.index(value) / (len(self.options) - 1)

    def at(self, place: float) -> Any:
        """The option whose share of the unit interval `place` lies in."""
        return self.options[min(int(place * len(self.options)), len(self.options) - 1)]

    def points(self, count: int) -> list[Any]:
        """All of them, however many are asked for."""
        return list(self.options)


Dimension: TypeAlias = Range | Choices
Space: TypeAlias = Mapping[str, Dimension]


def parse(name: str, text: str) -> Dimension | Any:
    """What stands after a flag: a dimension, or the one value that the setting is to have.

    >>> str(parse("lr", "1e-6:1e-3:log")), parse("epochs", "5"), parse("flip", "false")
    ('1e-06:0.001:log', 5, False)
    >>> parse("batch_size", "32,64").options
    (32, 64)

    Raises StriateError for a range of texts, and for a setting that a search may not vary.
    """
    name = _known(name)
    if ":" in text and not _is_text(name):
        return dimension(name, text)
    if "," in text and name not in ("milestones", "data", "pretrained", "data_dir", "output", "name"):
        return dimension(name, [_value(name, part.strip()) for part in text.split(",")])
    if name == "milestones":
        return [_value("epochs", part) for part in text.split(",")]
    return _value(name, text)


def dimension(name: str, value: Any) -> Dimension:
    """A dimension from a space file: "LOW:HIGH[:log]", a table of low, high, log, or a list of choices."""
    name = _known(name)
    if name in _FIXED:
        raise StriateError(f"{flag(name)} cannot be searched: {_FIXED[name]}")
    if isinstance(value, str) and ":" in value:
        found: Dimension = _range(name, value)
    elif isinstance(value, str) and "," in value:
        found = Choices(options=tuple(_value(name, part.strip()) for part in value.split(",")))
    elif isinstance(value, Mapping) and {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        low, high, log = value["low"], value["high"], value.get("log", False)
        if not (_is_number(low) and _is_number(high) and isinstance(log, bool)):
            raise StriateError(
                f"{flag(name)}: expected {{low = NUMBER, high = NUMBER, log = true or false}}; got {value}"
            )
        found = _between(name, low, high, log=log)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        found = Choices(options=tuple(value))
    else:
        raise StriateError(f"{flag(name)}: expected LOW:HIGH, LOW:HIGH:log or choices a,b,c; got {value!r}")
    for one in found.options if isinstance(found, Choices) else (found.at(0), found.at(1)):
        _check(name, apply(Settings(), {name: one}))  # refuses what no run can use
    return found


def _check(name: str, settings: Settings) -> None:
    """Names that settings alone do not know to be wrong: each trial that drew one would fail."""
    if name == "model":
        model_info(settings.model)
    if name == "policy" and settings.policy != "own":  # whose table stands beside the space
        check_policy(settings)


def space_from(table: Any) -> dict[str, Dimension]:
    """The dimensions in a table of a space file; those of the net's own stand in its table `model_settings`."""
    if not isinstance(table, Mapping):
        raise StriateError(f"space: expected a table of settings and what to search; got {table!r}")
    nested = table.get("model_settings", {})
    if not isinstance(nested, Mapping):
        raise StriateError(f"space: expected a table model_settings of the net's own; got {nested!r}")
    flat = {name: value for name, value in table.items() if name != "model_settings"}
    flat |= {f"{NET}{name}": value for name, value in nested.items()}
    return {name: dimension(name, value) for name, value in sorted(flat.items())}


def written(space: Space) -> dict[str, Any]:
    """The reverse of `space_from`: plain values, as TOML and JSON know them."""
    plain = {name: str(one) if isinstance(one, Range) else list(one.options) for name, one in space.items()}
    table: dict[str, Any] = {name: value for name, value in plain.items() if not name.startswith(NET)}
    nested = {name.removeprefix(NET): value for name, value in plain.items() if name.startswith(NET)}
    return table | ({"model_settings": nested} if nested else {})


def apply(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with a trial's values in their places."""
    own = {name.removeprefix(NET): value for name, value in values.items() if name.startswith(NET)}
    others = {name: value for name, value in values.items() if not name.startswith(NET)}
    layers = [others, {"model_settings": settings.model_settings | own}] if own else [others]
    return settings_from(*layers, base=settings)


def value_text(value: object) -> str:
    """A trial's value, short: rates in three digits, whole numbers and texts as they are.

    >>> value_text(0.00012345), value_text(32), value_text("sgd"), value_text(True)
    ('1.23e-4', '32', 'sgd', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value and not 1e-2 <= abs(value) < 1e4:
            mantissa, exponent = f"{value:.2e}".split("e")
            return f"{mantissa}e{int(exponent)}"
        return f"{value:.3g}"
    return str(value)


def flag(name: str) -> str:
    """How the command line calls it.

    >>> flag("weight_decay"), flag("model_settings.hidden")
    ('--weight-decay', '--set hidden')
    """
    return f"--set {name.removeprefix(NET)}" if name.startswith(NET) else "--" + name.replace("_", "-")


def _known(name: str) -> str:
    name = name if name.startswith(NET) else name.replace("-", "_")
    if not name.startswith(NET) and name not in _hints():
        raise StriateError(unknown("setting", name, _hints()))
    return name


def _hints() -> dict[str, Any]:
    return get_type_hints(Settings)


def _types(name: str) -> tuple[Any, ...]:
    """The types a setting may have; none are known of the net's own."""
    hint = _hints().get(name)
    return () if hint is None else tuple(get_args(hint)) or (hint,)


def _is_text(name: str) -> bool:
    return not name.startswith(NET) and not set(_types(name)) & {int, float}


def _is_whole(name: str, low: Any, high: Any) -> bool:
    if name.startswith(NET):
        return isinstance(low, int) and isinstance(high, int)
    return int in _types(name)


def _range(name: str, text: str) -> Range:
    low, high, *scale = text.split(":")
    if _is_text(name) or len(scale) > 1 or scale not in ([], ["log"]):
        raise StriateError(f"{flag(name)} {text}: expected LOW:HIGH or LOW:HIGH:log, two numbers")
    try:
        ends = [tomllib.loads(f"value = {_as_toml(end)}")["value"] for end in (low, high)]
    except ValueError:
        ends = []
    if not ends or not all(map(_is_number, ends)):
        raise StriateError(f"{flag(name)} {text}: expected LOW:HIGH or LOW:HIGH:log, two numbers")
    return _between(name, *ends, log=bool(scale))


def _between(name: str, low: float, high: float, *, log: bool) -> Range:
    """A range of the setting's numbers. Raises StriateError for ends that are none of them."""
    whole = _is_whole(name, low, high)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise StriateError(f"range {low:g}:{high:g} of {name}: its ends are whole numbers")
    return Range(low=float(low), high=float(high), log=log, whole=whole)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(name: str, text: str) -> Any:
    """A text as the setting's type: numbers and truth values as TOML reads them, all else as it stands."""
    types = _types(name)
    if types and not set(types) & {int, float, bool}:
        return text
    try:
        value = tomllib.loads(f"value = {_as_toml(text)}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    if not name.startswith(NET):
        settings_from({name: value})  # one line for a wrong type
    return value


def _as_toml(text: str) -> str:
    """`1e-3`, `.5` and `5.` as TOML writes them."""
    text = text.strip()
    text = f"0{text}" if text.startswith(".") else text
    return f"{text}0" if text.endswith(".") else text


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _digits(value: float, whole: bool) -> str:
    return str(int(value)) if whole else repr(float(value))
