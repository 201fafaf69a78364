"""A search begun, joined or gone on with: everything that can be refused is refused before the first trial."""

import contextlib
import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from striate.data import Preprocess
from striate.errors import StriateError
from striate.search.conduct import View, conduct, share_of_threads
from striate.search.folder import SearchFolder, resume_hint
from striate.search.ledger import Ledger, Record
from striate.search.machine import machines_doing
from striate.search.nets import check_nets
from striate.search.plan import Plan, plan_from, read_space_file, to_toml
from striate.search.ranking import settle
from striate.search.report import write_search_report
from striate.search.space import NET, apply, dimension, parse
from striate.search.storage import open_storage
from striate.train import Settings, load_recipe
from striate.train.progress import Reporter
from striate.train.resolve import open_data, resolve
from striate.train.run import build_net, measure

__all__ = ["Found", "conclude_plan", "go_on", "known_plan", "prepared", "start_folder"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What a search left. ranked: its trials that reached a value, the best first."""

    folder: SearchFolder
    plan: Plan
    ledger: Ledger
    ranked: list[Record]


def conclude_plan(
    data: str | None,
    values: Mapping[str, Any],
    spaced: Mapping[str, str],
    *,
    files: Sequence[str | Path] = (),
    recipe: str | None = None,
    **search: Any,
) -> Plan:
    """The plan from a recipe, space files, and texts from the command line, later ones winning.

    `search`: as `striate.search.plan.plan_from` takes it. Raises StriateError for whatever cannot be.
    """
    fixed: dict[str, Any] = {} if data is None else {"data": data}
    own: dict[str, Any] = {}
    for name, text in values.items():
        value = parse(name, text) if isinstance(text, str) else text
        if name.startswith(NET):
            own[name.removeprefix(NET)] = value
        else:
            fixed[name] = value
    space = {name: dimension(name, text) for name, text in spaced.items()}
    tables = [load_recipe(recipe).settings] if recipe is not None else []
    tables += [read_space_file(file) for file in files]
    return plan_from(tables, fixed | ({"model_settings": own} if own else {}), space, **search)


def prepared(plan: Plan, jobs: int, reporter: Reporter) -> tuple[Plan, str]:
    """The plan with what all trials share settled (channels, mirroring, precision, memory format), and the data's name.

    Precision is measured once, on the middle of the space: trials in different formats could not be compared.
    Raises StriateError where no run could begin, or a net of the space cannot be built.
    """
    check_nets(plan.settings, plan.space)
    data = open_data(plan.settings)
    for note in data.notes:
        reporter.note(note)
    if data.val is None:
        raise StriateError(f"data {data.name}: a search chooses by validation images; give --val-fraction, e.g. 0.1")
    reporter.note(
        f"data {data.name}: {len(data.classes)} classes; {len(data.train):,} training images, "
        f"{len(data.val):,} to choose by"
    )
    middle = apply(plan.settings, {name: one.at(0.5) for name, one in plan.space.items()})
    middle = resolve(middle.replace(threads=middle.threads or share_of_threads(jobs)), data)
    net = build_net(middle, data)
    assert middle.size is not None
    assert middle.channels is not None
    neutral = (0.5,) * middle.channels
    any_scale = Preprocess(
        channels=middle.channels, size=(middle.size, middle.size), resize=middle.resize, mean=neutral, std=neutral
    )
    measured = measure(middle, net, data, any_scale, reporter)
    settled = {"precision": measured.precision, "channels_last": measured.channels_last}
    settled |= {name: getattr(middle, name) for name in ("channels", "flip")}
    settled = {name: value for name, value in settled.items() if name not in plan.space}
    return dataclasses.replace(plan, settings=plan.settings.replace(**settled)), data.name


def known_plan(storage: str | None, name: str | None) -> str | None:
    """The plan of the search `name` in that storage, as it was written; None where nobody has begun it.

    Raises StriateError for a storage that cannot be reached, which is best known before anything is measured.
    """
    if storage is None:
        return None
    if name is None:
        raise StriateError("--storage needs --name: it is how other machines find the search")
    return Ledger(open_storage(storage), name).plan()


def start_folder(plan: Plan, data_name: str, *, output: Path, name: str | None, storage: str | None) -> SearchFolder:
    """The folder of a new search, or of one that its storage knows already, which this process then joins."""
    known = known_plan(storage, name)
    if known is not None:
        plan = _joined(plan, known, str(name))
    return SearchFolder.create(plan, output, name, f"{plan.settings.model}-{data_name}", storage)


def go_on(folder: SearchFolder, jobs: int, view: View) -> Found:
    """Work on a search until it is done, from wherever it stands. What was found is written in any case.

    Raises StriateError where the storage fails, or the disk is full: the search goes on once that is mended.
    """
    plan = folder.plan()
    ledger = Ledger(open_storage(folder.storage), folder.name)
    try:
        try:
            conduct(folder, ledger, plan, jobs, view)
        except BaseException:
            with contextlib.suppress(Exception):  # on a full disk, say: what ended the search says more
                _sum_up(folder, ledger, plan)
            raise
        order = _sum_up(folder, ledger, plan)
    except Exception as error:
        reason = None if isinstance(error, StriateError) else machines_doing(error)
        if reason is None:
            raise
        raise StriateError(f"{reason}; mend that, then {resume_hint(folder)}") from error
    return Found(folder=folder, plan=plan, ledger=ledger, ranked=order)


def _sum_up(folder: SearchFolder, ledger: Ledger, plan: Plan) -> list[Record]:
    order = settle(folder, ledger, plan)
    write_search_report(folder, ledger, plan)
    return order


def _joined(plan: Plan, known: str, name: str) -> Plan:
    """The plan of a search that others have begun, with this machine's own way to the data."""
    theirs = plan_from([tomllib.loads(known)], {}, {})
    here = {field: getattr(plan.settings, field) for field in ("data", "data_dir", "device", "threads", "workers")}
    ours, others = (_comparable(one) for one in (plan, theirs))
    if ours != others:
        raise StriateError(f"search {name} was begun with another space or other settings; choose another --name")
    return dataclasses.replace(theirs, settings=theirs.settings.replace(**here))


def _comparable(plan: Plan) -> str:
    """The plan without what may differ between machines."""
    own = Settings()
    alike = {
        field: getattr(own, field)
        for field in ("data", "data_dir", "device", "threads", "workers", "precision", "channels_last")
    }
    return to_toml(dataclasses.replace(plan, settings=plan.settings.replace(**alike)))
