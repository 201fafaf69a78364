"""Layers of a net at several batch sizes, by us and by peers: the table of Lavin and Gray 2015 (tables 4 and 5).

Effective FLOP/s are the operations of the direct sum over the time, whatever was computed instead. A result is compared
with float64 before its time is taken: a library that is wrong by more than the tolerance has an error and no time.
"""

import gc
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from striate import _native
from striate.bench.layer import Layer
from striate.bench.ours import LAYOUTS, fastest
from striate.bench.peers import Peer
from striate.bench.problem import PASSES, Pass, Precision, Problem
from striate.bench.quiet import quiet
from striate.bench.subject import CannotDo, Subject
from striate.bench.timing import Spread, interleave, ratio, spread
from striate.conv.plans import Layout
from striate.doctor import examine

__all__ = ["OURS", "TOLERANCE", "Entry", "Row", "Summary", "measure", "steps", "summaries", "totals"]

OURS = "striate"
TOLERANCE: dict[Precision, float] = {
    "fp32": 1e-3,  # Winograd's largest tile is 2.5e-5 on the worst of VGG's layers; one wrong tap is 1e-1
    "bf16": 5e-2,  # eight bits, rounded once on the way in and once on the way out, and Winograd's growth
}
LONGEST_NOTE = 200  # letters of what a library says when it fails
PEAK = "multiply-adds"  # takes turns with the subjects: where threads share a core for a while, its peak is halved, too
PEAK_ROUNDS = 2**19  # of its loop on every thread, some milliseconds


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One subject in one row. Without `seconds`, `note` says why."""

    error: float | None = None
    seconds: Spread | None = None
    samples: tuple[float, ...] = ()
    note: str = ""
    takes: str = ""  # the layout of images and result


@dataclass(frozen=True, kw_only=True)
class Row:
    """A layer and a batch: every subject, ours under OURS."""

    layer: Layer
    batch: int
    which: Pass
    flops: int
    entries: dict[str, Entry]
    algorithm: str = ""
    at_peak: tuple[float, ...] = ()  # seconds of as many operations at the multiply-add peak, by round

    @property
    def ours(self) -> Entry:
        """Our entry."""
        return self.entries[OURS]

    def fastest(self, names: Sequence[str]) -> str | None:
        """The peer of these with the least median time; None when none was timed."""
        timed = {name: self.entries[name].seconds for name in names if name in self.entries}
        known = {name: seconds.median for name, seconds in timed.items() if seconds is not None}
        return min(known, key=lambda name: known[name]) if known else None

    def speed_up(self, name: str | None) -> Spread | None:
        """How many times as long as we the peer takes."""
        if name is None or not self.ours.samples or not self.entries[name].samples:
            return None
        return ratio(self.entries[name].samples, self.ours.samples)

    def rate(self, name: str) -> float | None:
        """Effective FLOP/s."""
        seconds = self.entries[name].seconds
        return self.flops / seconds.median if seconds is not None else None

    @property
    def share_of_peak(self) -> Spread | None:
        """Our effective rate over the multiply-add peak of the same round."""
        return ratio(self.at_peak, self.ours.samples) if self.at_peak and self.ours.samples else None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Geometric mean and worst of a ratio over rows, of which there are `count`."""

    mean: float
    worst: float
    count: int


def measure(
    layers: Sequence[Layer],
    batches: Sequence[int],
    peers: Sequence[Peer],
    *,
    threads: int,
    rounds: int,
    which: Pass = "forward",
    precision: Precision = "fp32",
    algorithm: str = "auto",
    layouts: Sequence[Layout] = LAYOUTS,
) -> Iterator[Row]:
    """The rows, each as soon as it is measured."""
    for batch in batches:
        for layer in layers:
            problem = Problem(layer=layer, batch=batch, threads=threads, which=which, precision=precision)
            yield _row(problem, peers, rounds, lambda p: fastest(p, algorithm, layouts))
            gc.collect()  # gigabytes of the largest layers, before the next one's


def _row(problem: Problem, peers: Sequence[Peer], rounds: int, ours: Callable[[Problem], Subject]) -> Row:
    entries: dict[str, Entry] = {}
    subjects: dict[str, Subject] = {}
    lack = _lack_of_memory(problem, len(peers) + 1)
    makers: dict[str, Callable[[Problem], Subject]] = {OURS: ours, **{peer.name: _loading(peer) for peer in peers}}
    for name, make in makers.items():
        if lack:
            entries[name] = Entry(note=lack)
            continue
        try:
            with quiet():
                subject = make(problem)
                subject.run()
        except CannotDo as reason:
            entries[name] = Entry(note=str(reason))
            continue
        except Exception as failure:  # a library may fail in its own ways: that is its entry, not the end of the table
            if name == OURS:
                raise
            entries[name] = Entry(note=f"{type(failure).__name__}: {' '.join(str(failure).split())}"[:LONGEST_NOTE])
            continue
        error = problem.error(subject.result())
        known = error if math.isfinite(error) else None  # JSON has no infinity
        entries[name] = Entry(error=known, takes=subject.takes, note=_wrong(error, problem.precision))
        if not entries[name].note:
            subjects[name] = subject
    samples, at_peak = _timed(subjects, problem, rounds)
    for name, seconds in samples.items():
        entries[name] = Entry(
            error=entries[name].error,
            takes=entries[name].takes,
            seconds=spread(seconds),
            samples=tuple(seconds),
        )
    chosen = getattr(subjects.get(OURS), "candidate", None)
    return Row(
        layer=problem.layer,
        batch=problem.batch,
        which=problem.which,
        flops=problem.flops,
        entries=entries,
        algorithm=chosen.algorithm if chosen else "",
        at_peak=at_peak,
    )


def _timed(
    subjects: dict[str, Subject], problem: Problem, rounds: int
) -> tuple[dict[str, list[float]], tuple[float, ...]]:
    """Seconds of every subject by round, and those of as many operations at the multiply-add peak."""
    if not subjects:
        return {}, ()
    runs: dict[str, Callable[[], object]] = {name: subject.run for name, subject in subjects.items()}
    runs[PEAK] = lambda: _native.multiply_adds(problem.threads, PEAK_ROUNDS)
    operations = _native.multiply_adds(problem.threads, PEAK_ROUNDS)
    samples = interleave(runs, rounds)
    return samples, tuple(problem.flops / operations * seconds for seconds in samples.pop(PEAK))


def _loading(peer: Peer) -> Callable[[Problem], Subject]:
    return lambda problem: peer.load()(problem)


def _wrong(error: float, precision: Precision) -> str:
    if error <= TOLERANCE[precision]:
        return ""
    if math.isinf(error):
        return "its result is of another size, or has numbers that are none: not timed"
    return f"its result differs from float64 by {error:.1e} of the largest: not timed"


def _lack_of_memory(problem: Problem, subjects: int) -> str:
    """Every subject has images and a result of its own, and workspaces are about as large."""
    needed = 3 * subjects * problem.layer.nbytes(problem.batch)
    free = examine().free_memory_nbytes
    if free is not None and needed > free and _native.return_memory():
        free = examine().free_memory_nbytes
    if free is None or needed <= free:
        return ""
    told = f"needs about {needed / 2**30:.0f} GiB of memory, {free / 2**30:.0f} are free"
    return f"{told}: a smaller --batch-size needs less"


def summaries(rows: Sequence[Row], direct: Sequence[str], peers: Sequence[str]) -> dict[str, Summary]:
    """Our speed-up over the fastest direct peer of each row, over the fastest of all, and over each.

    >>> summaries([], ["torch"], ["torch"])
    {}
    """
    found = {}
    groups = {"the fastest direct peer": direct, "the fastest peer": peers, **{name: [name] for name in peers}}
    for title, names in groups.items():
        ratios = [r.median for row in rows if (r := row.speed_up(row.fastest(names))) is not None]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            found[title] = Summary(mean=mean, worst=min(ratios), count=len(ratios))
    return found


def steps(rows: Sequence[Row], peer: str) -> list[tuple[Layer, int, float, float]]:
    """(layer, batch, the peer's seconds, ours) of a training step: the medians of all three passes, put together."""
    found = []
    for layer, batch in dict.fromkeys((row.layer, row.batch) for row in rows):
        passes = [row for row in rows if (row.layer, row.batch) == (layer, batch)]
        theirs, ours = (_sum_of_medians([row.entries[name].seconds for row in passes]) for name in (peer, OURS))
        if len(passes) == len(PASSES) and theirs is not None and ours is not None:
            found.append((layer, batch, theirs, ours))
    return found


def _sum_of_medians(spreads: Sequence[Spread | None]) -> float | None:
    medians = [one.median for one in spreads if one is not None]
    return sum(medians) if len(medians) == len(spreads) else None


def totals(rows: Sequence[Row], names: Sequence[str]) -> dict[int, dict[str, float]]:
    """For every batch size: seconds of all convolutions of the net in these rows, each as often as the net has it, by
    the fastest of `names`, by us, and at the multiply-add peak; and the operations. A batch with a row that was not
    timed is left out.
    """
    found: dict[int, dict[str, float]] = {}
    for batch in dict.fromkeys(row.batch for row in rows):
        of_batch = [row for row in rows if row.batch == batch]
        sums = {"peer": 0.0, "ours": 0.0, "at_peak": 0.0, "flops": 0.0, "error": 0.0}
        for row in of_batch:
            peer, ours = row.fastest(names), row.ours
            if peer is None or ours.seconds is None or ours.error is None:
                break
            theirs = row.entries[peer].seconds
            assert theirs is not None  # the fastest has a time
            sums["peer"] += row.layer.count * theirs.median
            sums["ours"] += row.layer.count * ours.seconds.median
            sums["at_peak"] += row.layer.count * statistics.median(row.at_peak)
            sums["flops"] += row.layer.count * row.flops
            sums["error"] = max(sums["error"], ours.error)
        else:
            found[batch] = sums
    return found
