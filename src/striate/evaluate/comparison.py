"""What averaging buys, a row for each: single view, flips, 10 crops, 50 views, the ensemble.

Every row asks the same images, so its difference to the first row is paired (see `bootstrap`).
"""

import dataclasses
from collections.abc import Sequence

from striate.evaluate.bootstrap import Interval, paired_interval
from striate.evaluate.panel import Panel
from striate.evaluate.score import AT_HOME, Evaluation, Sitting, measure
from striate.evaluate.views import NAMED, Plan
from striate.pages.wording import plural

__all__ = ["Comparison", "Row", "compare", "rows_to"]

ROWS = (NAMED["none"], NAMED["flip"], NAMED["10"], NAMED["50"])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One way to answer. against: how its error differs from the first row's, None for the first row itself."""

    name: str
    evaluation: Evaluation
    against: Interval | None

    @property
    def error(self) -> float:
        """The share of images that are wrong."""
        return 1 - self.evaluation.metrics.accuracy


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The table."""

    part: str
    rows: tuple[Row, ...]


def rows_to(plan: Plan) -> tuple[Plan, ...]:
    """The table's usual rows that look at less than `plan`, then `plan` itself: what is dear can be left out.

    >>> [str(row) for row in rows_to(NAMED["10"])]
    ['single view', 'flips', '10 crops']
    """
    order = [*NAMED.values()]
    last = order.index(plan)
    return (*(row for row in ROWS if order.index(row) < last), plan)


def compare(
    panel: Panel,
    part: str | None = None,
    *,
    plans: Sequence[Plan] = ROWS,
    sitting: Sitting = AT_HOME,
) -> Comparison:
    """The first member under each plan; where the sitting has samples, so many draws of it; then all members together,
    under the first plan and the last.
    """
    first = dataclasses.replace(panel, members=panel.members[:1], names=panel.names[:1], cards=panel.cards[:1])
    asked = [(str(plan), first, plan, 0) for plan in plans]
    if sitting.samples:
        asked.append((plural(sitting.samples, "sample"), first, plans[0], sitting.samples))
    if len(panel.members) > 1:
        together = f"ensemble of {len(panel.members)}"
        asked += [(f"{together}, {plan}", panel, plan, 0) for plan in dict.fromkeys((plans[0], plans[-1]))]
    rows: list[Row] = []
    wrong = None
    for name, members, plan, draws in asked:
        found = measure(members, part, plan, dataclasses.replace(sitting, samples=draws))
        missed = found.probabilities.argmax(1) != found.labels
        wrong = missed if wrong is None else wrong
        against = paired_interval(missed, wrong, seed=sitting.seed) if rows else None
        rows.append(Row(name=name, evaluation=found, against=against))
    return Comparison(part=rows[0].evaluation.part, rows=tuple(rows))
