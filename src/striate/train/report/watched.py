"""What the watch saw, as the page tells it: the diagnoses, curves of the layers, and their histograms over the run."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from striate.pages.curves import Series, line_chart
from striate.pages.svg import frame, number

__all__ = ["Bins", "Watched", "watched"]

MOST_LAYERS = 10  # rows of histograms; of a deeper net the first, the last and some between
MOST_MOMENTS = 6  # columns of them
WIDTH, HEIGHT = 64, 30  # px of one histogram
SMOOTHING = 0.1  # of the next point in the running mean of the loss: half of it is of the last seven


@dataclass(frozen=True, kw_only=True)
class Bins:
    """A histogram: equally wide bins from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """ailments: (illness, evidence, remedy), the cause first. steps: of the looks; every list below is as long.

    gradient: the norm of each look; ratios: update over weight, by layer, in each look; unfit: the worst layer's share
    of dead or saturated units; shifts: the middle batch norm's, in running deviations, empty without one. moments: the
    steps that have histograms; weights, outputs: by layer, one `Bins` for each of these.
    """

    ailments: tuple[tuple[str, str, str], ...]
    steps: tuple[int, ...] = ()
    gradient: tuple[float, ...] = ()
    ratios: tuple[tuple[float, ...], ...] = ()
    unfit: tuple[float, ...] = ()
    shifts: tuple[float, ...] = ()
    moments: tuple[int, ...] = ()
    weights: Mapping[str, tuple[Bins, ...]]
    outputs: Mapping[str, tuple[Bins, ...]]


def watched(
    seen: Watched | None, losses: Sequence[tuple[int, float]], gaps: Sequence[tuple[int, float]]
) -> dict[str, Any]:
    """The section as its template wants it; losses: (step, loss); gaps: (epoch, training − validation accuracy)."""
    if seen is None:
        return {"ailments": (), "charts": (), "pictures": (), "looks": 0, "on": False}
    return {
        "on": True,
        "ailments": seen.ailments,
        "looks": len(seen.steps),
        "charts": [(title, note, Markup(chart)) for title, note, chart in _charts(seen, losses, gaps)],
        "moments": _spaced(seen.moments, MOST_MOMENTS),
        "pictures": [
            (
                title,
                [
                    (name, [Markup(_picture(f"{key}-{i}-{j}", name, *one)) for j, one in enumerate(row)])
                    for i, (name, row) in enumerate(rows)
                ],
            )
            for key, title, rows in (
                ("outputs", "Outputs", _rows(seen.outputs, seen.moments)),
                ("weights", "Weights", _rows(seen.weights, seen.moments)),
            )
            if rows
        ],
    }


def _charts(
    seen: Watched, losses: Sequence[tuple[int, float]], gaps: Sequence[tuple[int, float]]
) -> Iterator[tuple[str, str, str]]:
    if losses:
        smooth = Series(name="", x=[step for step, _ in losses], y=_smoothed([loss for _, loss in losses]), kind="b")
        drawn = line_chart("smooth", "Loss, smoothed", [smooth], x_name="step", y_name="nats per image")
        yield "Loss, smoothed", "", drawn
    if gaps:
        apart = Series(name="", x=[epoch for epoch, _ in gaps], y=[gap for _, gap in gaps], kind="a")
        drawn = line_chart(
            "gap", "Training ahead of validation", [apart], x_name="epoch", y_name="accuracy, difference"
        )
        yield "Training ahead of validation", "", drawn
    if not seen.steps:
        return
    steps = list(seen.steps)
    loud = Series(name="", x=steps, y=list(seen.gradient), kind="b")
    yield (
        "Gradient",
        "L2 norm over the whole net",
        line_chart("gradient", "Gradient", [loud], x_name="step", y_name="norm"),
    )
    known = [(step, sorted(r for r in look if r > 0)) for step, look in zip(steps, seen.ratios, strict=True)]
    known = [(step, look) for step, look in known if look]
    if known:
        line = Series(
            name="",
            x=[step for step, _ in known],
            y=[statistics.median_low(look) for _, look in known],
            kind="a",
            low=[look[0] for _, look in known],
            high=[look[-1] for _, look in known],
        )
        title = "Update over weight"
        drawn = line_chart("ratio", title, [line], x_name="step", y_name="‖Δw‖ / ‖w‖", log=True)
        yield title, "the middle layer, in a band from the least to the most; about 10⁻³ at its height is usual", drawn
    for key, title, note, values in (
        (
            "unfit",
            "Dead or saturated",
            "the worst layer's share",
            seen.unfit,
        ),
        (
            "shift",
            "Batch norm drift",
            "from running means to the batches' in the middle layer",
            seen.shifts,
        ),
    ):
        if values:
            line = Series(name="", x=steps, y=list(values), kind="b")
            drawn = line_chart(
                key,
                title,
                [line],
                x_name="step",
                y_name="share" if key == "unfit" else "deviations",
                shares=key == "unfit",
            )
            yield title, note, drawn


def _smoothed(losses: Sequence[float]) -> list[float]:
    """A running mean that weighs the past less and less, right from its first point on (Kingma 2014's correction)."""
    mean, weight, smooth = 0.0, 0.0, []
    for loss in losses:
        if math.isfinite(loss):
            mean, weight = mean + SMOOTHING * (loss - mean), weight + SMOOTHING * (1 - weight)
        smooth.append(mean / weight if weight and math.isfinite(loss) else math.nan)
    return smooth


def _rows(layers: Mapping[str, tuple[Bins, ...]], moments: Sequence[int]) -> list[tuple[str, list[tuple[int, Bins]]]]:
    """The layers and the moments to draw."""
    names = _spaced([name for name, bins in layers.items() if len(bins) == len(moments)], MOST_LAYERS)
    chosen = _spaced(moments, MOST_MOMENTS)
    return [(name, [(m, layers[name][moments.index(m)]) for m in chosen]) for name in names] if chosen else []


def _spaced(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _picture(key: str, name: str, step: int, bins: Bins) -> str:
    """One histogram as bars without axes: its range is in its description and below it."""
    top = max(1, *bins.counts)
    wide = WIDTH / len(bins.counts)
    base = HEIGHT - 1
    points = [f"0,{base}"]
    for i, count in enumerate(bins.counts):
        y = number(base - (HEIGHT - 2) * math.sqrt(count / top))
        points += [f"{number(i * wide)},{y}", f"{number((i + 1) * wide)},{y}"]
    points.append(f"{WIDTH},{base}")
    zero = ""
    if bins.low < 0 < bins.high:
        x = number(WIDTH * -bins.low / (bins.high - bins.low))
        zero = f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="{base}"/>'
    body = f'<polygon class="bins" points="{" ".join(points)}"/>{zero}'
    told = f"from {bins.low:.3g} to {bins.high:.3g}"
    return frame(key, f"{name}, step {step}", told, (WIDTH, HEIGHT), body)
