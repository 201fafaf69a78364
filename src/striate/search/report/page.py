"""From the trials in the storage to the page."""

import shlex
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from striate.atomic import write_bytes
from striate.pages.document import rendered
from striate.pages.wording import plural
from striate.search.draws import grid_points, random_point
from striate.search.folder import SearchFolder
from striate.search.ledger import Ledger, Record
from striate.search.plan import Plan
from striate.search.ranking import all_records, ranked
from striate.search.report import story
from striate.search.report.contour import contour_chart
from striate.search.report.course import course_chart
from striate.search.report.importance import LEAST_TRIALS, importance_chart, importances
from striate.search.report.layouts import MOST, layout_chart
from striate.search.report.parallel import parallel_chart
from striate.search.report.slices import slice_chart
from striate.search.space import Dimension, Range, Space

__all__ = ["write_search_report"]


def write_search_report(folder: SearchFolder, ledger: Ledger, plan: Plan) -> None:
    """Write the page about whatever the search has done so far. Raises StriateError when it cannot be written."""
    stages = [stage for stage in range(len(plan.stages)) if ledger.is_open(stage)]
    records = all_records(ledger, plan)
    order = ranked(records)
    names = sorted(plan.space)
    spaces: dict[str, list[Dimension]] = {name: [ledger.space(stage)[name] for stage in stages] for name in names}
    data_name = folder.plan().settings.data.rstrip("/").rpartition("/")[2]
    page = rendered(
        "striate.search.report",
        "page.html.j2",
        name=folder.name,
        plan=plan,
        names=names,
        answer=story.answer(plan, data_name, records, order),
        stages=story.stage_rows(plan, records, {stage: ledger.said(stage) for stage in stages}),
        rows=story.trial_rows(plan, names, order),
        lost=story.lost_trials(records),
        pruned=sum(one.outcome == "pruned" for one in records),
        left_out=max(0, len(order) - story.MOST_ROWS),
        space=[(name, str(one)) for name, one in sorted(plan.space.items())],
        least_trials=LEAST_TRIALS,
        commands=_commands(folder, plan, order),
        **_charts(plan, names, spaces, records, order),
    )
    write_bytes(folder.report, page.encode("utf-8"))


def _charts(
    plan: Plan, names: list[str], spaces: dict[str, list[Dimension]], records: list[Record], order: list[Record]
) -> dict[str, Any]:
    found = importances(spaces, order) if order else {}
    leading = [*found, *(name for name in names if name not in found)]
    numbers = [name for name in leading if spaces[name] and isinstance(spaces[name][0], Range)]
    pair = next(pairwise(numbers if len(numbers) > 1 else leading), None)  # options make a dull ground
    charts: dict[str, Any] = {
        "course": Markup(course_chart(records, order[0])) if order else "",
        "slices": [Markup(slice_chart(name, spaces[name], records, order[0])) for name in leading] if order else [],
        "parallel": Markup(parallel_chart(spaces, records, order)) if len(order) > 1 else "",
        "importance": Markup(importance_chart(found, spaces)) if found else "",
        "contour": "",
        "layouts": "",
    }
    if pair is not None and len(order) > 1:
        charts["contour"] = Markup(contour_chart(pair, (spaces[pair[0]], spaces[pair[1]]), records, order[0]))
    if pair is not None and records:
        charts["layouts"] = Markup(_layouts(plan, pair, {name: spaces[name][0] for name in pair}, records))
    return charts


def _layouts(plan: Plan, pair: tuple[str, str], space: Space, records: list[Record]) -> str:
    """The first stage as it was, beside what the other way of choosing points would have been in its space."""
    tried = [one.values for one in records if one.stage == 0 and set(pair) <= set(one.values)][:MOST]
    count = max(1, len(tried))
    if plan.sampler == "grid":
        other = [random_point(space, plan.seed, 0, number) for number in range(count)]
        return layout_chart(pair, space, {"this grid": tried, "at random": other})
    return layout_chart(pair, space, {"a grid": grid_points(space, count), "these trials": tried})


def _commands(folder: SearchFolder, plan: Plan, order: list[Record]) -> list[tuple[str, str]]:
    """(what for, what to type)."""
    found = []
    if order:
        train = ["striate", "train", plan.settings.data, "--recipe", str(folder.best)]
        found.append(("Train the best settings, longer if you like (--epochs)", shlex.join(train)))
    best = min(3, plan.keep, len(order))
    if best > 1:
        asked = ["striate", "evaluate", str(folder.path), "--best", str(best)]
        found.append(
            (f"Ask the {plural(best, 'best trial')} together, on images that none has seen", shlex.join(asked))
        )
    found.append(
        ("Go on with this search, or join it", shlex.join(["striate", "search", "--resume", str(folder.path)]))
    )
    again = ["striate", "search", plan.settings.data, "--space", str(folder.plan_file)]
    found.append(("Repeat it from its beginning", shlex.join(again)))
    return found
