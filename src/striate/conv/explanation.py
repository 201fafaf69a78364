"""`explain(shape)`: every algorithm for one convolution, its cost, time, error and workspace, and the choice."""

from dataclasses import dataclass

from striate import _native
from striate.conv.choose import MAX_RELATIVE_ERROR, SPLIT, asked_for_ieee, error_bound, measured, measured_batch, work
from striate.conv.measure import TORCH, Measurement
from striate.conv.plans import Layout, Pass, algorithms, refusal
from striate.conv.shape import ConvShape
from striate.conv.team import team_size

__all__ = ["Explanation", "Row", "explain"]


@dataclass(frozen=True)
class Row:
    """One algorithm; times and errors are None where it was not measured, and `note` says why."""

    algorithm: str
    relative_work: float | None  # by the cost model, of the direct sum's
    seconds: float | None  # with weights packed in the run
    packed_seconds: float | None  # with weights packed before it
    gflops: float | None  # effective, of the latter: operations of the direct sum / time
    relative_error: float | None
    error_bound: float | None  # in units of 2^-24 times the largest sum of |x||w|
    workspace_bytes: int | None
    note: str


@dataclass(frozen=True)
class Explanation:
    """The table for one pass of one shape; printed, it is a table."""

    shape: ConvShape
    pass_: Pass
    rows: tuple[Row, ...]
    chosen: str  # with weights packed in the run
    chosen_packed: str  # with weights packed before it
    threads: int

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        head = f"{self.shape}, {self.pass_}, {threads}; chosen: {self.chosen}"
        if self.chosen_packed != self.chosen:
            head += f", with weights packed before {self.chosen_packed}"
        if (part := measured_batch(self.shape)) < self.shape.batch:
            head += f"; measured on {part} of the images"
        titles = ("work", "ms", "packed", "GFLOP/s", "error", "bound", "workspace")
        lines = [head, f"{'algorithm':<18}" + "".join(f"{title:>10}" for title in titles)]
        for row in self.rows:
            if row.relative_work is None and row.seconds is None:
                continue
            cells = (
                _cell(row.relative_work, "10.2f"),
                _cell(row.seconds, "10.3f", 1e3),
                _cell(row.packed_seconds, "10.3f", 1e3),
                _cell(row.gflops, "10.0f"),
                _cell(row.relative_error, "10.1e"),
                _cell(row.error_bound, "10.3g"),
                _cell(row.workspace_bytes, "7.1f", 1e-6) + (" MB" if row.workspace_bytes is not None else ""),
            )
            lines.append(f"{row.algorithm:<18}{''.join(cells).rstrip()}" + (f"  {row.note}" if row.note else ""))
        refused = [row for row in self.rows if row.relative_work is None and row.seconds is None]
        lines += [f"{row.algorithm:<18}{row.note}" for row in refused]
        return "\n".join(lines)


def _cell(value: float | None, form: str, scale: float = 1.0) -> str:
    return " " * 10 if value is None else f"{scale * value:{form}}"


def _why_not_measured(name: str) -> str:
    """Of one that can compute the shape, all the same."""
    if name == TORCH:
        return "no such operator: padding that differs between the sides"
    if name == "reference":
        return "the oracle; not measured"
    if name.endswith(SPLIT) and asked_for_ieee():
        return "not tried: torch's fp32_precision asks for ieee"
    if name.endswith(SPLIT) and _native.bfloat16_unit() != "amx":
        return "not tried: three products for one, which only AMX makes up for"
    return "not tried: too much work by the cost model"


def explain(
    shape: ConvShape,
    pass_: Pass = "forward",
    *,
    layout: Layout = "nchw",
    threads: int | None = None,
    max_rel_error: float = MAX_RELATIVE_ERROR,
) -> Explanation:
    """Measure what can compute `shape` (once; then it is remembered) and say why the rest cannot, or need not try."""
    threads = threads or team_size()
    known: dict[str, Measurement] = {}
    if shape.macs > 0:
        known = measured(shape, pass_, from_layout=layout, to_layout=layout, threads=threads, with_torch=True)
    rows = []
    for name in (*algorithms(), TORCH):
        why = "" if name == TORCH else refusal(name, pass_, shape, layout, layout)
        m = known.get(name)
        note = why
        if m is None and not why:
            note = _why_not_measured(name) if shape.macs > 0 else "nothing to multiply"
        elif m is not None and m.relative_error > max_rel_error:
            note = f"beyond the error limit of {max_rel_error:g}"
        rows.append(
            Row(
                algorithm=name,
                relative_work=None if name == TORCH or why or not shape.macs else work(shape, name) / shape.macs,
                seconds=None if m is None else m.seconds,
                packed_seconds=None if m is None else m.packed_seconds,
                gflops=None if m is None else 2e-9 * shape.macs / m.packed_seconds,
                relative_error=None if m is None else m.relative_error,
                error_bound=None if name == TORCH or why else error_bound(shape, pass_, name),
                workspace_bytes=None if m is None or name == TORCH else m.workspace_bytes,
                note=note,
            )
        )
    within = {name: m for name, m in known.items() if m.relative_error <= max_rel_error}
    chosen, answering = (
        min(within or known, key=lambda name: known[name].of(packed=packed), default="reference")
        for packed in (False, True)
    )
    return Explanation(shape, pass_, tuple(rows), chosen, answering, threads)
