"""A search in sentences and tables: what the page says beside its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.pages.wording import duration, percent, plural
from striate.search.ledger import Record
from striate.search.plan import Plan
from striate.search.space import NET, value_text

__all__ = ["Answer", "StageRow", "answer", "lost_trials", "stage_rows", "trial_rows"]

MOST_ROWS = 60  # of the table of trials
MOST_CAUSES = 12


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What stands at the top. figures: (name, value, note)."""

    headline: str
    lede: str
    outcome: str
    figures: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """A stage: its trials, what they reached, and how its ranges came about."""

    number: int
    trials: int
    epochs: int
    finished: int
    best: float | None
    said: tuple[str, ...]


def answer(plan: Plan, data_name: str, records: Sequence[Record], order: Sequence[Record]) -> Answer:
    """The headline, and how sure it is."""
    ended = [one for one in records if one.ended]
    counts = {outcome: sum(one.outcome == outcome for one in records) for outcome in ("pruned", "exploded", "failed")}
    seconds = sum(one.seconds or 0.0 for one in ended)
    left = plan.trials - len(ended)
    figures = [
        ("Best", percent(order[0].value) if order else "–", f"trial {order[0].name}" if order else ""),
        ("Trials", f"{len(ended)}", f"of {max(plan.trials, len(records))}" if left > 0 else ""),
        ("Finished", f"{sum(one.outcome == 'finished' for one in ended)}", ""),
        *((name.capitalize(), f"{count}", "") for name, count in counts.items() if count),
        ("Computed", duration(seconds), f"{duration(seconds / max(1, len(ended)))} a trial"),
    ]
    if not order:
        return Answer(
            headline=f"{data_name}: no trial has reached a value",
            lede="What became of each stands below.",
            outcome=f"{plural(len(ended), 'trial')} ended.",
            figures=tuple(figures),
        )
    best = order[0]
    values = ", ".join(f"{name.removeprefix(NET)} {value_text(value)}" for name, value in best.values.items())
    return Answer(
        headline=f"{percent(best.value)} on {data_name}: {values}",
        lede=f"The best of {plural(len(order), 'trial')} that reached a value, by accuracy on validation images. Being "
        "the best of many on the same images, it is a little flattered: the test part, which no trial has seen, will "
        "tell.",
        outcome=f"Still to do: {plural(left, 'trial')}." if left > 0 else "All stages are done.",
        figures=tuple(figures),
    )


def stage_rows(plan: Plan, records: Sequence[Record], said: Mapping[int, Sequence[str]]) -> list[StageRow]:
    """The stages that were opened."""
    rows = []
    for number, sentences in sorted(said.items()):
        own = [one for one in records if one.stage == number]
        values = [one.value for one in own if one.value is not None]
        rows.append(
            StageRow(
                number=number + 1,
                trials=len(own),
                epochs=plan.stages[number].epochs,
                finished=len(values),
                best=max(values, default=None),
                said=tuple(sentences),
            )
        )
    return rows


def trial_rows(plan: Plan, names: Sequence[str], order: Sequence[Record]) -> list[dict[str, Any]]:
    """The best trials, as cells."""
    return [
        {
            "name": one.name,
            "values": [value_text(one.values.get(name, "")) for name in names],
            "epochs": plan.stages[one.stage].epochs,
            "value": one.value,
            "loss": one.loss,
            "seconds": one.seconds,
        }
        for one in order[:MOST_ROWS]
    ]


def lost_trials(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """(outcome, trials, cause) of those that reached no value, alike ones together with the first one's cause."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for one in records:
        if one.outcome in ("exploded", "failed"):
            cause = one.cause if one.outcome == "failed" else ""  # explosions differ in their numbers only
            groups.setdefault((one.outcome, cause), []).append(one)
    found = sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_CAUSES]
    return [
        (outcome, plural(len(members), "trial"), f"trial {members[0].name}: {members[0].cause}")
        for (outcome, _), members in found
    ]
