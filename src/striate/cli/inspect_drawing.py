"""The net as a picture: its stages to scale, and under each how large its maps are and where parameters, multiply-adds
and memory sit.

Every stage is a slab. Its height is the side of its maps, its width grows with the channels, both on a square-root
scale, since a net spans three orders of magnitude; the numbers are written beside it. The bars below are linear.
"""

import math
from collections.abc import Sequence

from striate.nets.inspect import NOT_USED, CostRow, ModuleCost
from striate.pages.svg import escape, frame, label, number
from striate.pages.wording import compact, elide, memory, percent, plural

__all__ = ["draw"]

WIDTH, TOP, TALLEST = 720, 30, 150
GAP, THINNEST, WIDEST = 14, 10, 70
BARS_TOP, BAR, ROW = 44, 12, 20
MEASURES = (("parameters", "a", "params"), ("multiply-adds", "b", "macs"), ("kept for backward", "c", "kept_nbytes"))


def draw(cost: ModuleCost, key: str) -> str:
    """The drawing as SVG. key: an id unique in the page."""
    stages = [row for row in cost.stages if row.name != NOT_USED]
    slot = WIDTH / max(len(stages), 1)
    slabs = "".join(_slab(row, i * slot, slot, stages) for i, row in enumerate(stages))
    top = TOP + TALLEST + BARS_TOP
    bars = "".join(_bars(row, i * slot, slot, top, cost.total) for i, row in enumerate(stages))
    legend_top = top + len(MEASURES) * ROW + 24
    legend = "".join(
        f'<g class="{kind}"><rect class="bar" x="{number(i * 190)}" y="{legend_top - 10}" width="12" height="12"/></g>'
        + label(i * 190 + 18, legend_top, name, kind="axis")
        for i, (name, kind, _) in enumerate(MEASURES)
    )
    size = (WIDTH, legend_top + 10)
    return frame(key, f"{cost.name}, stage by stage", _described(cost, stages), size, slabs + bars + legend)


def _slab(row: CostRow, x: float, slot: float, stages: Sequence[CostRow]) -> str:
    side, channels = _side(row), row.output_shape[0] if row.output_shape else 1
    most_side = max(map(_side, stages))
    most_channels = max(one.output_shape[0] if one.output_shape else 1 for one in stages)
    height = max(3.0, TALLEST * math.sqrt(side / most_side))
    width = THINNEST + (min(WIDEST, slot - GAP) - THINNEST) * math.sqrt(channels / most_channels)
    middle = x + slot / 2
    shape = "×".join(map(str, row.output_shape)) or "–"
    told = f"{row.name}: {shape}, {compact(row.params)} parameters, {compact(row.macs)} multiply-adds"
    return (
        f'<g class="a"><title>{escape(told)}</title><rect class="band" x="{number(middle - width / 2)}" '
        f'y="{number(TOP + (TALLEST - height) / 2)}" width="{number(width)}" height="{number(height)}" rx="2"/></g>'
        + label(middle, TOP - 12, elide(row.name, max(4, int(slot / 8))), anchor="middle", kind="name")
        + f'<g font-size="11">{label(middle, TOP + TALLEST + 18, shape, anchor="middle", kind="axis")}</g>'
    )


def _bars(row: CostRow, x: float, slot: float, top: float, total: CostRow) -> str:
    parts = []
    for i, (name, kind, field) in enumerate(MEASURES):
        value, whole = getattr(row, field), getattr(total, field)
        share = value / whole if whole else 0.0
        told = f"{row.name}, {name}: {memory(value) if field.endswith('nbytes') else compact(value)}, {percent(share)}"
        parts.append(
            f'<g class="{kind}"><title>{escape(told)}</title><rect class="bar" x="{number(x + 4)}" '
            f'y="{number(top + i * ROW)}" width="{number(max(0.5, share * (slot - GAP)))}" height="{BAR}"/></g>'
        )
    return "".join(parts)


def _side(row: CostRow) -> float:
    """The mean side of a map; 1 for a row of values."""
    sides = row.output_shape[1:]
    return math.prod(sides) ** (1 / len(sides)) if sides else 1.0


def _described(cost: ModuleCost, stages: Sequence[CostRow]) -> str:
    most = (
        {name: max(stages, key=lambda row: getattr(row, field)).name for name, _, field in MEASURES} if stages else {}
    )
    where = "; ".join(f"most {name} in {stage}" for name, stage in most.items())
    return f"{plural(len(stages), 'stage')}. {where}."
