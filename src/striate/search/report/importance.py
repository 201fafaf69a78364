"""Which dimensions mattered: functional ANOVA on a forest fitted to the trials (Hutter, Hoos and Leyton-Brown 2014).

The share of the accuracy's variance, over the space, that each dimension alone explains, from Optuna's evaluator. What
is left over is interaction and noise. Trials of all stages that reached a value count; it needs some of them to say
anything.
"""

from collections.abc import Mapping, Sequence

import optuna

from striate.pages.svg import frame, label, number
from striate.pages.wording import percent
from striate.search.ledger import Record
from striate.search.report.scale import scale_for
from striate.search.space import Choices, Dimension

__all__ = ["LEAST_TRIALS", "importance_chart", "importances"]

LEAST_TRIALS = 10
WIDTH, ROW, BAR, LEFT, LETTER = 440, 26, 16, 10, 7.8


def importances(spaces: Mapping[str, Sequence[Dimension]], known: Sequence[Record]) -> dict[str, float]:
    """The share of each dimension, the largest first; empty where there are too few trials, or all reached the same."""
    values = {one.value for one in known}
    if len(known) < LEAST_TRIALS or len(values) < 2:
        return {}
    scales = {name: scale_for(name, dims, 0.0, 1.0) for name, dims in spaces.items()}
    unit = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in scales}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        optuna.trial.create_trial(
            params={name: min(1.0, max(0.0, scale.place(one.values[name]))) for name, scale in scales.items()},
            distributions=dict(unit),
            value=one.value,
        )
        for one in known
        if set(scales) <= set(one.values)
    )
    found = optuna.importance.FanovaImportanceEvaluator(seed=0).evaluate(study)  # shares of the variance, not of 1
    return {name: float(share) for name, share in sorted(found.items(), key=lambda item: -item[1])}


def importance_chart(found: Mapping[str, float], spaces: Mapping[str, Sequence[Dimension]]) -> str:
    """Bars as SVG, the longest first."""
    left = LEFT + LETTER * max(len(name) for name in found)
    longest = max(*found.values(), 1e-9)
    parts = []
    for row, (name, share) in enumerate(found.items()):
        y = 8 + row * ROW
        width = (WIDTH - 70 - left) * share / longest
        kind = "c" if isinstance(spaces[name][0], Choices) else "a"
        parts.append(label(left - 7, y + 13, name, anchor="end"))
        parts.append(
            f'<rect class="bar {kind}" x="{number(left)}" y="{y}" width="{number(max(1.0, width))}" height="{BAR}"/>'
        )
        parts.append(label(left + width + 7, y + 13, percent(min(share, 0.999)), kind="axis"))
    first = next(iter(found))
    told = f"{first} alone explains {percent(min(found[first], 0.999))} of the accuracy's variance."
    return frame("importance", "What mattered", told, (WIDTH, 12 + ROW * len(found)), "".join(parts))
