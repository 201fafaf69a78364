"""What `striate bench` prints: rows as measured, then what they come to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from striate.cli.table import print_table

if TYPE_CHECKING:
    from striate.bench.conv import Entry, Row
    from striate.bench.facts import Machine
    from striate.bench.im2col import Need
    from striate.bench.nets import NetRow
    from striate.bench.peers import Peer
    from striate.bench.roofline import Point
    from striate.bench.strassen import SizeEntry, SizeRow
    from striate.bench.timing import Spread

__all__ = ["in_short", "print_conv", "print_fft", "print_im2col", "print_nets", "print_roofline", "print_strassen"]

MIB = 2**20
PASS_NAMES = {"forward": "forward", "data": "backward to data", "weights": "backward to weights"}


def in_short(row: "Row") -> str:
    """One line while the rest is still being measured."""
    best = row.fastest([name for name in row.entries if name != "striate"])
    by = f" ({row.algorithm})" if row.algorithm else ""
    ours = f"{_ms(row.ours)} ms{by}" if row.ours.seconds else row.ours.note
    told = f"{row.layer}, N = {row.batch}, {PASS_NAMES[row.which]}: striate {ours}"
    return told if best is None else f"{told}, {best} {_ms(row.entries[best])} ms"


def print_conv(machine: "Machine", rows: Sequence["Row"], peers: Sequence["Peer"]) -> None:
    """The table of Lavin and Gray, every pass of its own; milliseconds by subject; means; totals by batch."""
    from striate.bench.conv import summaries, totals

    direct = [peer.name for peer in peers if peer.direct]
    names = [peer.name for peer in peers]
    print(machine)
    for which in dict.fromkeys(row.which for row in rows):
        part = [row for row in rows if row.which == which]
        print(f"\n{PASS_NAMES[which]}: effective GFLOP/s are operations of the direct sum over time\n")
        _print_rows(part, direct, names)
        print("\nmilliseconds, median ± half the distance of the quartiles\n")
        _print_times(part, names)
        print("\nwho, how, and how much faster we are: geometric mean and worst of the rows\n")
        _print_subjects(part, peers, summaries(part, direct, names))
        found = totals(part, names)
        if found:
            print("\nall convolutions in these rows, each as often as its net has it\n")
            _print_totals(found)
        _print_notes(part)
    _print_steps(rows, names)


def _print_steps(rows: Sequence["Row"], names: Sequence[str]) -> None:
    """A training step of each layer, where all three passes were measured."""
    from striate.bench.conv import steps

    columns = ["layer", "N", "peer", "peer ms", "ours ms", "×"]
    cells = [
        [str(layer), batch, name, _milli(theirs), _milli(ours), f"{theirs / ours:.2f}"]
        for name in names
        for layer, batch, theirs, ours in steps(rows, name)
    ]
    if cells:
        print("\nall three as one step: the sums of their medians\n")
        print_table(columns, cells, right=["N", *columns[3:]])


def _print_rows(rows: Sequence["Row"], direct: Sequence[str], names: Sequence[str]) -> None:
    columns = ["layer", "N", "peer ms", "ours ms", "GFLOP/s", "peak", "direct", "all", "error"]
    shown = _names(rows)
    cells = []
    for row, name in zip(rows, shown, strict=True):
        best = row.fastest(names)
        cells.append(
            [
                name,
                row.batch,
                _ms(row.entries[best]) if best else None,
                _ms(row.ours),
                _giga(row.rate("striate")),
                _times(row.share_of_peak),
                _times(row.speed_up(row.fastest(direct))),
                _times(row.speed_up(best)),
                _error(row.ours.error),
            ]
        )
    print_table(columns, cells, right=columns[1:])


def _print_times(rows: Sequence["Row"], names: Sequence[str]) -> None:
    columns = ["layer", "N", "by", "striate", *names]
    cells = [
        [name, row.batch, row.algorithm or None, *(_with_spread(row.entries[one]) for one in ("striate", *names))]
        for row, name in zip(rows, _names(rows), strict=True)
    ]
    print_table(columns, cells, right=["N", "striate", *names])


def _print_subjects(rows: Sequence["Row"], peers: Sequence["Peer"], means: dict[str, Any]) -> None:
    cells = []
    for name in ("striate", *(peer.name for peer in peers)):
        errors = [error for row in rows if (error := row.entries[name].error) is not None]
        takes = list(dict.fromkeys(row.entries[name].takes for row in rows if row.entries[name].takes))
        mean = means.get(name)
        cells.append(
            [
                name,
                ", ".join(takes) or None,
                _error(max(errors)) if errors else None,
                f"{mean.mean:.2f}" if mean else None,
                f"{mean.worst:.2f}" if mean else None,
            ]
        )
    cells += [[title, None, None, f"{m.mean:.2f}", f"{m.worst:.2f}"] for title, m in means.items() if " " in title]
    print_table(
        ["", "images and result lie in", "error", "mean ×", "worst ×"], cells, right=["error", "mean ×", "worst ×"]
    )


def _print_totals(found: dict[int, dict[str, float]]) -> None:
    columns = ["N", "fastest peers ms", "ours ms", "GFLOP/s", "of peak", "×", "error"]
    cells = [
        [
            batch,
            _milli(sums["peer"]),
            _milli(sums["ours"]),
            _giga(sums["flops"] / sums["ours"]),
            f"{sums['at_peak'] / sums['ours']:.2f}",
            f"{sums['peer'] / sums['ours']:.2f}",
            _error(sums["error"]),
        ]
        for batch, sums in found.items()
    ]
    print_table(columns, cells, right=columns)


def _print_notes(rows: Sequence["Row"]) -> None:
    """What ours multiply, where it is not what peers do; and why something has no time, each reason once."""
    from striate.conv.choose import SPLIT

    told: dict[str, list[str]] = {}
    for row in rows:
        for name, entry in row.entries.items():
            if entry.note:
                told.setdefault(f"{name}: {entry.note}", []).append(f"{row.layer}, N = {row.batch}")
    if any(row.algorithm.endswith(SPLIT) for row in rows):
        print(f"\n…{SPLIT}: a product of float32 as three of bfloat16; peers make it in float32, and ours with --ieee")
    for note, where in told.items():
        everywhere = len(where) == len(rows)
        print(f"\n{note}" + ("" if everywhere else f" ({'; '.join(where[:3])}{'; …' if len(where) > 3 else ''})"))


def print_fft(machine: "Machine", rows: Sequence["Row"], peer: str, crossover: int | None) -> None:
    """Filter by filter."""
    print(f"{machine}\n")
    columns = ["filter", f"{peer} ms", "fft ms", "GFLOP/s", "times as fast", "error"]
    cells = [
        [
            "×".join(map(str, row.layer.kernel)),
            _with_spread(row.entries[peer]),
            _with_spread(row.ours),
            _giga(row.rate("striate")),
            _times(row.speed_up(peer), quartiles=True),
            _error(row.ours.error),
        ]
        for row in rows
    ]
    print_table(columns, cells, right=columns[1:])
    print(f"\nfaster from {crossover}×{crossover} on" if crossover else f"\n{peer} is faster at the largest filter")
    _print_notes(rows)


def print_im2col(machine: "Machine", needs: Sequence["Need"]) -> None:
    """Layer by layer, algorithm by algorithm."""
    print(f"{machine}\n")
    columns = ["layer", "algorithm", "workspace MiB", "× images", "weights MiB", "ms", "GFLOP/s", "error"]
    cells, before = [], None
    for need in needs:
        cells.append(
            [
                str(need.layer) if need.layer != before else "",
                need.algorithm,
                f"{need.workspace_nbytes / MIB:,.1f}",
                f"{need.folds:.2f}",
                f"{need.packed_nbytes / MIB:,.1f}",
                _milli(need.seconds.median),
                _giga(need.flops / need.seconds.median),
                _error(need.error),
            ]
        )
        before = need.layer
    print_table(columns, cells, right=columns[2:])


def print_roofline(machine: "Machine", points: Sequence["Point"], bandwidth: float) -> None:
    """Where every layer stands, and where its roof is."""
    from striate.bench.roofline import roof

    print(f"{machine}; memory copies {bandwidth / 1e9:,.1f} GB/s\n")
    columns = ["layer", "FLOP/byte", "roof", "striate", "of roof", "peer"]
    cells = []
    for point in points:
        limit = roof(point.intensity, machine.peak_flops, bandwidth)
        cells.append(
            [
                point.name,
                f"{point.intensity:,.1f}",
                _giga(limit),
                _giga(point.rate),
                f"{point.rate / limit:.2f}",
                _giga(point.peer_rate),
            ]
        )
    print_table(columns, cells, right=columns[1:])
    print("\nroof, striate and peer in GFLOP/s")


def print_nets(machine: "Machine", rows: Sequence["NetRow"]) -> None:
    """Net by net, way by way."""
    print(f"{machine}\n")
    columns = ["net", "N", "way", "forward ms", "backward ms", "step ms", "× eager", "gradients differ"]
    cells: list[list[Any]] = []
    for row in rows:
        eager = row.entries.get("eager")
        for number, (way, entry) in enumerate(row.entries.items()):
            ratio = f"{eager.step.median / entry.step.median:.2f}" if eager and eager.step and entry.step else None
            cells.append(
                [
                    row.published.title if number == 0 else "",
                    row.batch if number == 0 else "",
                    way,
                    _milli(entry.forward.median) if entry.forward else None,
                    _milli(entry.backward_seconds) if entry.backward_seconds is not None else None,
                    _milli(entry.step.median) if entry.step else None,
                    ratio,
                    _error(entry.difference),
                ]
            )
    print_table(columns, cells, right=[*columns[3:], "N"])
    for row in rows:
        for way, entry in row.entries.items():
            if entry.note:
                print(f"\n{row.published.title}, {way}: {entry.note}")


def print_strassen(machine: "Machine", rows: Sequence["SizeRow"]) -> None:
    """Size by size; then where the seven products begin to pay."""
    from striate.bench.strassen import OURS, crossover, way

    print(f"{machine}\n")
    names = list(rows[0].entries)
    print("milliseconds, median ± half the distance of the quartiles\n")
    times = [[row.size, *(_with_spread(row.entries[name]) for name in names)] for row in rows]
    print_table(["size", *names], times, right=["size", *names])
    print("\nlargest error over the largest result, against float64\n")
    errors = [[row.size, *(_error(row.entries[name].error) for name in names)] for row in rows]
    print_table(["size", *names], errors, right=["size", *names])
    print()
    for level in range(1, rows[0].levels + 1):
        size = crossover(rows, level)
        growth = max(row.entries[way(level)].error / row.entries[OURS].error for row in rows)
        where = f"pays from {size} on" if size else "does not pay at these sizes"
        print(f"{way(level)}: {where}; its error is up to {growth:.1f} times that of our product")


def _names(rows: Sequence["Row"]) -> list[str]:
    """The layers, without what they all share: the filter."""
    kernels = {row.layer.kernel for row in rows}
    names = [str(row.layer) for row in rows]
    if len(kernels) == 1:
        kernel = "×".join(map(str, kernels.pop()))
        return [name.replace(f" {kernel}@", "@") for name in names]
    return names


def _with_spread(entry: "Entry | SizeEntry") -> str | None:
    if entry.seconds is None:
        return None
    s = entry.seconds
    return f"{_milli(s.median)} ±{50 * (s.high - s.low) / s.median:.0f}%"


def _ms(entry: "Entry") -> str | None:
    return None if entry.seconds is None else _milli(entry.seconds.median)


def _milli(seconds: float) -> str:
    """Three digits and no more than the clock is worth."""
    ms = 1e3 * seconds
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}" if ms >= 1 else f"{ms:.3f}"


def _giga(rate: float | None) -> str | None:
    return None if rate is None else f"{rate / 1e9:,.0f}" if rate >= 1e10 else f"{rate / 1e9:.1f}"


def _times(ratio: "Spread | None", *, quartiles: bool = False) -> str | None:
    if ratio is None:
        return None
    return f"{ratio.median:.2f}" + (f" ({ratio.low:.2f}–{ratio.high:.2f})" if quartiles else "")


def _error(error: float | None) -> str | None:
    return None if error is None else f"{error:.0e}"
