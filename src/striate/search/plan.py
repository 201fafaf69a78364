"""What a search is told: settings that stay, a space, and stages of trials; read from a space file and flags.

A space file is a recipe with three more tables, all of which may be left out:

    model = "two_layer"             # settings, as in any recipe
    [space]
    lr = "1e-6:1e-3:log"            # as on the command line; or {low = …, high = …, log = true}; or a list
    [search]
    sampler = "random"              # random, grid, tpe
    [[stage]]
    trials = 40
    epochs = 5
    space = {lr = "1e-4:1e-3:log"}  # instead of what the stage before would lead to

The `search.toml` of a search's folder is one, too: it repeats the search.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import tomli_w

from striate.errors import StriateError, UnknownName, unknown
from striate.search.space import Choices, Dimension, Range, apply, flag, space_from, written
from striate.train import Settings, read_toml, settings_from
from striate.train.recipes import recipes_folder

__all__ = ["Plan", "Pruner", "Sampler", "Stage", "plan_from", "read_space_file", "stages_from", "to_toml"]

Sampler = Literal["random", "grid", "tpe"]
Pruner = Literal["none", "median", "hyperband"]
STAGES = "40x2,20x6,10x15"  # many short trials, then fewer and longer ones: about 350 epochs in all
EXTRA = ("space", "search", "stage", "description", "reached")  # tables of a space file that are not settings


@dataclass(frozen=True, kw_only=True)
class Stage:
    """So many trials of so many epochs. `space`: ranges that replace what the stage before leads to."""

    trials: int
    epochs: int
    space: dict[str, Dimension] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = type(self.trials) is type(self.epochs) is int  # True is none
        if not whole or self.trials < 1 or self.epochs < 1:
            raise StriateError(f"stage {self.trials}x{self.epochs}: expected TRIALSxEPOCHS, whole numbers, 1 or more")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole search. keep: trials whose weights are kept; seed: of the draws, not of the trials (`settings.seed`)."""

    settings: Settings
    space: dict[str, Dimension]
    stages: tuple[Stage, ...]
    sampler: Sampler = "random"
    pruner: Pruner = "median"
    keep: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, options in (("sampler", get_args(Sampler)), ("pruner", get_args(Pruner))):
            if getattr(self, name) not in options:
                raise UnknownName(unknown(f"--{name}", str(getattr(self, name)), options))
        if not self.space:
            raise StriateError("nothing to search: give a range, e.g. --lr 1e-4:1e-1:log, or --space FILE")
        if not self.stages:
            raise StriateError("a search needs at least one stage of trials")
        for name, word in (("keep", "--keep"), ("seed", "--draw")):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0:
                raise StriateError(f"{word} {getattr(self, name)!r}: expected a whole number, 0 or more")
        if self.seed >= 2**63:  # a word of the generator's key
            raise StriateError(f"--draw {self.seed}: expected a number below 2⁶³, {2**63:,}")
        for stage in self.stages:
            for name in stage.space:
                if name not in self.space:
                    raise StriateError(
                        f"stage {stage.trials}x{stage.epochs} narrows {flag(name)}, which is not searched"
                    )
        for name in self.space:
            _check_kinds(name, [self.space[name], *(stage.space[name] for stage in self.stages if name in stage.space)])
        apply(self.settings, {name: one.at(0.0) for name, one in self.space.items()})

    @property
    def trials(self) -> int:
        """Of all stages."""
        return sum(stage.trials for stage in self.stages)


def read_space_file(given: str | Path) -> dict[str, Any]:
    """A space file, or one that comes with striate by its name, as a layer for `plan_from`.

    A StriateError about what stands in it names the file.
    """
    path = Path(given)
    if path.suffix != ".toml" and not path.is_file():
        known = {one.stem: one for one in sorted((recipes_folder() / "spaces").glob("*.toml"))}
        if str(given) not in known:
            raise UnknownName(unknown("space", str(given), [*known, "a TOML file"]))
        path = known[str(given)]
    table = read_toml(path)
    try:
        settings_from({name: value for name, value in table.items() if name not in EXTRA})
        space_from(table.get("space", {}))
        _search_table(table.get("search", {}))
        for stage in _stages(table):
            _stage(stage)
    except StriateError as error:
        raise StriateError(f"space file {path}: {error}") from error
    return table


def plan_from(
    tables: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
    space: Mapping[str, Dimension],
    *,
    stages: str | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    **search: Any,
) -> Plan:
    """The plan from recipes and space files, then `values` and `space` from the command line, later ones winning.

    A setting that one layer searches and a later one fixes is fixed, and the other way round. `search`: sampler,
    pruner, keep, seed; None was not given.
    """
    fixed: dict[str, Any] = {}
    searched: dict[str, Dimension] = {}
    told: dict[str, Any] = {}
    staged: tuple[Stage, ...] = ()
    for table in tables:
        fixed |= {name: value for name, value in table.items() if name not in EXTRA}
        searched = {name: one for name, one in searched.items() if name not in table} | space_from(
            table.get("space", {})
        )
        told |= _search_table(table.get("search", {}))
        staged = tuple(_stage(one) for one in _stages(table)) or staged
    searched = {name: one for name, one in searched.items() if name not in values} | dict(space)
    own = dict(fixed.pop("model_settings", {})) | dict(values.get("model_settings", {}))
    settings = settings_from(fixed, {**values, "model_settings": own} if own else values)
    if stages is not None:
        staged = stages_from(stages)
    elif trials is not None or epochs is not None:
        one = staged[0] if len(staged) == 1 else None
        count, length = trials or (one.trials if one else 30), epochs or (one.epochs if one else 10)
        staged = (Stage(trials=count, epochs=length),)
    return Plan(
        settings=settings,
        space=dict(sorted(searched.items())),
        stages=staged or stages_from(STAGES),
        **(told | {name: value for name, value in search.items() if value is not None}),
    )


def stages_from(text: str) -> tuple[Stage, ...]:
    """
    >>> stages_from("40x2,10x15")[1]
    Stage(trials=10, epochs=15, space={})
    """
    found = []
    for part in text.split(","):
        trials, by, epochs = part.strip().partition("x")
        if not (by and trials.isdecimal() and epochs.isdecimal()):
            raise StriateError(f"--stages {text}: expected TRIALSxEPOCHS with commas between, e.g. {STAGES}")
        found.append(Stage(trials=int(trials), epochs=int(epochs)))
    return tuple(found)


def to_toml(plan: Plan) -> str:
    """The plan as a space file that says everything."""
    settings = {name: value for name, value in asdict(plan.settings).items() if value is not None}
    search = {name: getattr(plan, name) for name in ("sampler", "pruner", "keep", "seed")}
    stages = [
        {"trials": one.trials, "epochs": one.epochs} | ({"space": written(one.space)} if one.space else {})
        for one in plan.stages
    ]
    return tomli_w.dumps({**settings, "space": written(plan.space), "search": search, "stage": stages})


def _check_kinds(name: str, dimensions: Sequence[Dimension]) -> None:
    """Raises StriateError where one stage has a range and another options that are no numbers: they share no axis."""
    ranges = [one for one in dimensions if isinstance(one, Range)]
    options = [option for one in dimensions if isinstance(one, Choices) for option in one.options]
    strange = [option for option in options if isinstance(option, bool) or not isinstance(option, int | float)]
    if ranges and strange:
        raise StriateError(
            f"{flag(name)} is a range in one stage, {ranges[0]}, and options in another, {strange[0]!r} among them; "
            "give numbers in both"
        )


def _stages(table: Mapping[str, Any]) -> Sequence[Any]:
    stages = table.get("stage", ())
    if isinstance(stages, str) or not isinstance(stages, Sequence):
        raise StriateError(f"[[stage]]: expected a table for each stage; got {stages!r}")
    return stages


def _search_table(table: Any) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise StriateError(f"[search]: expected a table; got {table!r}")
    known = [one.name for one in fields(Plan) if one.name not in ("settings", "space", "stages")]
    for name in table:
        if name not in known:
            raise StriateError("[search]: " + unknown("setting", str(name), known))
    return dict(table)


def _stage(table: Any) -> Stage:
    known = [one.name for one in fields(Stage)]
    if not isinstance(table, Mapping) or not {"trials", "epochs"} <= set(table) <= set(known):
        raise StriateError(f"[[stage]]: expected trials, epochs and perhaps space; got {table!r}")
    return replace(Stage(trials=table["trials"], epochs=table["epochs"]), space=space_from(table.get("space", {})))
