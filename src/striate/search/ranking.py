"""What a search found: its trials from best to worst, the best one's settings as a recipe, the best ones' models.

`ranking.json` is the contract with `striate evaluate`, which knows nothing of searches: a list of trial folders.
"""

import dataclasses
import json
import shlex
import shutil
from typing import Any

import tomli_w

from striate.atomic import write_bytes
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Record
from striate.search.plan import Plan
from striate.search.space import apply
from striate.train import RunFolder, Settings

__all__ = ["all_records", "best_settings", "ranked", "settle", "thin_out"]

# Not part of what was found: where things lie, and how fast this machine is.
_MACHINE = (
    "output",
    "name",
    "keep",
    "data_dir",
    "device",
    "threads",
    "workers",
    "precision",
    "channels_last",
    "compile",
)


def all_records(ledger: Ledger, plan: Plan) -> list[Record]:
    """The trials of every stage that is open, in order."""
    return [one for stage in range(len(plan.stages)) if ledger.is_open(stage) for one in ledger.records(stage)]


def ranked(records: list[Record]) -> list[Record]:
    """Those that came to an end with a value, the best first; of equals the earlier."""
    return sorted((one for one in records if one.value is not None), key=lambda one: one.rank)


def best_settings(plan: Plan, best: Record) -> Settings:
    """What the best trial was told."""
    return apply(plan.settings, best.values).replace(epochs=plan.stages[best.stage].epochs)


def settle(folder: SearchFolder, ledger: Ledger, plan: Plan) -> list[Record]:
    """Write the ranking and the recipe, drop models beyond the kept ones; returns the ranked trials."""
    records = all_records(ledger, plan)
    order = ranked(records)
    thin_out(folder, plan, records)
    table = [_row(folder, plan, one) for one in order]
    write_bytes(folder.ranking, json.dumps({"search": folder.name, "trials": table}, indent=1).encode())
    if order:
        write_bytes(folder.best, _recipe(folder, plan, records, order[0]).encode())
    return order


def thin_out(folder: SearchFolder, plan: Plan, records: list[Record]) -> None:
    """Remove the models of trials that are over and not among the best, and the checkpoints of all that are over,
    whatever ended them; config and log stay."""
    kept = {one.key for one in ranked(records)[: plan.keep]}
    ended = {one.key for one in records if one.ended}
    for model in folder.trials.glob(f"*/{RunFolder(folder.path).best.name}"):
        if model.parent.name in ended - kept:
            model.unlink(missing_ok=True)
    for one in records:
        if one.ended:
            shutil.rmtree(RunFolder(folder.trials / one.key).checkpoints, ignore_errors=True)


def _row(folder: SearchFolder, plan: Plan, one: Record) -> dict[str, Any]:
    path = folder.trials / one.key
    return {
        "trial": one.name,
        "folder": str(path.relative_to(folder.path)),
        "model": RunFolder(path).model.is_file(),
        "val_accuracy": one.value,
        "val_loss": one.loss,
        "epochs": plan.stages[one.stage].epochs,
        "values": one.values,
    }


def _recipe(folder: SearchFolder, plan: Plan, records: list[Record], best: Record) -> str:
    defaults, settings = dataclasses.asdict(Settings()), dataclasses.asdict(best_settings(plan, best))
    told = {
        name: value
        for name, value in settings.items()
        if value is not None and name not in _MACHINE and (value != defaults[name] or name in best.values)
    }
    ended = sum(one.ended for one in records)
    description = f"the best of {ended} trials of search {folder.name}: trial {best.name}"
    reached = {
        "val_accuracy": round(best.value or 0.0, 6),
        "chosen_from": ended,
        "command": shlex.join(["striate", "search", plan.settings.data, "--space", str(folder.plan_file)]),
    }
    return tomli_w.dumps({"description": description, **told, "reached": reached})
