"""Tables as JSON, with the machine beside them, and as pictures."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from striate.bench.charts import Dots, dot_chart
from striate.bench.conv import OURS, Row, summaries, totals
from striate.bench.facts import Machine
from striate.bench.im2col import Need
from striate.bench.nets import NetRow
from striate.bench.peers import Peer
from striate.bench.roofline import Point
from striate.bench.strassen import SizeRow, crossover

__all__ = ["conv_picture", "conv_record", "im2col_record", "nets_record", "roofline_points", "strassen_record"]


def conv_record(
    machine: Machine, rows: Sequence[Row], peers: Sequence[Peer], settings: dict[str, Any]
) -> dict[str, Any]:
    """Everything of `striate bench conv`: rows, means over them by pass, totals by pass and batch."""
    direct, names = [peer.name for peer in peers if peer.direct], [peer.name for peer in peers]
    passes = list(dict.fromkeys(row.which for row in rows))
    of_pass = {which: [row for row in rows if row.which == which] for which in passes}
    return {
        "machine": machine.as_dict(),
        "settings": settings,
        "rows": [_row(row, direct, names) for row in rows],
        "speed_up": {
            which: {title: dataclasses.asdict(one) for title, one in summaries(part, direct, names).items()}
            for which, part in of_pass.items()
        },
        "totals": {which: totals(part, names) for which, part in of_pass.items()},
    }


def _row(row: Row, direct: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    best_direct, best = row.fastest(direct), row.fastest(names)
    return {
        "layer": row.layer.key,
        "names": row.layer.names,
        "batch": row.batch,
        "pass": row.which,
        "flops": row.flops,
        "algorithm": row.algorithm or None,
        "effective_flops_per_second": row.rate(OURS),
        "share_of_peak": _spread(row.share_of_peak),
        "fastest_direct_peer": best_direct,
        "fastest_peer": best,
        "speed_up_over_direct": _spread(row.speed_up(best_direct)),
        "speed_up_over_all": _spread(row.speed_up(best)),
        "subjects": {
            name: {
                "seconds": _spread(entry.seconds),
                "relative_error": entry.error,
                "layout": entry.takes or None,
                "speed_up": _spread(row.speed_up(name)) if name != OURS else None,
                "note": entry.note or None,
            }
            for name, entry in row.entries.items()
        },
    }


def im2col_record(machine: Machine, needs: Sequence[Need], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything of `striate bench im2col`."""
    rows = [
        {**dataclasses.asdict(need), "layer": need.layer.key, "workspace_over_images": need.folds} for need in needs
    ]
    return {"machine": machine.as_dict(), "settings": settings, "rows": rows}


def nets_record(machine: Machine, rows: Sequence[NetRow], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything of `striate bench nets`."""
    found = [
        {
            "net": row.published.title,
            "model": row.published.net,
            "batch": row.batch,
            "accelerated": row.accelerated,
            "ways": {
                way: dataclasses.asdict(entry) | {"backward_seconds": entry.backward_seconds}
                for way, entry in row.entries.items()
            },
        }
        for row in rows
    ]
    return {"machine": machine.as_dict(), "settings": settings, "rows": found}


def strassen_record(machine: Machine, rows: Sequence[SizeRow], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything of `striate bench strassen`."""
    crossovers = {str(level): crossover(rows, level) for level in range(1, settings["levels"] + 1)}
    found = [dataclasses.asdict(row) for row in rows]
    return {"machine": machine.as_dict(), "settings": settings, "rows": found, "crossover": crossovers}


def roofline_points(rows: Sequence[Row], peer: str) -> list[Point]:
    """The rows that were timed, as points under the roof."""
    return [
        Point(
            name=str(row.layer),
            kind=_kind(row),
            intensity=row.flops / row.layer.nbytes(row.batch),
            rate=rate,
            peer_rate=row.rate(peer),
        )
        for row in rows
        if (rate := row.rate(OURS)) is not None
    ]


def conv_picture(title: str, rows: Sequence[Row], peak: float) -> str:
    """Effective GFLOP/s of every subject in every row, under a heading for each batch and pass. An SVG document."""
    dots, before = [], None
    for row in rows:
        group = (row.which, row.batch)
        dots.append(
            Dots(
                name=str(row.layer),
                heading=f"N = {row.batch}, {row.which}" if group != before else "",
                values={name: rate / 1e9 for name in row.entries if (rate := row.rate(name)) is not None},
            )
        )
        before = group
    name = f"multiply-add peak {peak / 1e9:,.0f}"
    return dot_chart(title, dots, x_name="effective GFLOP/s", limit=peak / 1e9, limit_name=name)


def _kind(row: Row) -> str:
    kernel = "×".join(map(str, row.layer.kernel))
    depthwise = row.layer.groups == row.layer.in_maps > 1
    return f"{kernel} depthwise" if depthwise else kernel


def _spread(spread: Any) -> dict[str, Any] | None:
    return None if spread is None else dataclasses.asdict(spread)
