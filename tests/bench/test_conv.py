"""Rows of the comparison: what is believed, what is left out and why, and what rows come to."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from striate import _native
from striate.bench import conv
from striate.bench.conv import OURS, Entry, Row, measure, steps, summaries, totals
from striate.bench.facts import Machine
from striate.bench.layer import Layer
from striate.bench.peers import PEERS, Peer
from striate.bench.problem import PASSES, Floats, Problem
from striate.bench.record import conv_picture, conv_record, roofline_points
from striate.bench.subject import CannotDo, Subject
from striate.bench.timing import spread
from striate.cli.bench_tables import in_short
from striate.conv import algorithms

LAYER = Layer(in_maps=4, out_maps=8, size=(8, 8), kernel=(3, 3), padding=(1, 1), names=("a", "b"))


def entry(*samples: float, error: float = 1e-6) -> Entry:
    return Entry(error=error, seconds=spread(samples), samples=samples, takes="nchw")


def row(batch: int = 1, **entries: Entry) -> Row:
    return Row(
        layer=LAYER,
        batch=batch,
        which="forward",
        flops=1000,
        entries=entries,
        algorithm="winograd4",
        at_peak=(1.0, 2.0),
    )


def machine(**changes: Any) -> Machine:
    facts: dict[str, Any] = {
        "cpu": "A CPU", "cores": 2, "isa": "avx2", "threads": 2, "peak_flops": 1e3, "memory_kept": True,
        "others": 0.0, "system": "Linux", "python": "3.11", "commit": "abc", "date": "2026-01-01",
        "versions": {}, "environment": {},
    }  # fmt: skip
    return Machine(**{**facts, **changes})


class Wrong(Subject):
    """A library with one wrong number."""

    takes = "nchw"
    runs = 0

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def run(self) -> None:
        type(self).runs += 1

    def result(self) -> Floats:
        y = self.problem.truth.astype("float32")
        y[0, 0, 0, 0] += y.max()
        return y


class Failing(Subject):
    """A library that fails in its own way."""

    def __init__(self, problem: Problem) -> None:
        raise RuntimeError("no such\n  instruction on this processor")

    def run(self) -> None: ...

    def result(self) -> Floats: ...  # type: ignore[empty-body]  # never reached


class Unable(Subject):
    """A library that cannot."""

    def __init__(self, problem: Problem) -> None:
        raise CannotDo("it has no such thing")

    def run(self) -> None: ...

    def result(self) -> Floats: ...  # type: ignore[empty-body]  # never reached


def peer(kind: type[Subject]) -> Peer:
    class Here(Peer):
        def load(self) -> type[Subject]:
            return kind

    return Here(name=kind.__name__.lower(), package="torch", needs=(), subject=":", direct=True)


def test_a_row_has_everybody_and_the_truth() -> None:
    (found,) = measure([LAYER], [2], [PEERS["torch"]], threads=1, rounds=3)
    assert found.flops == 2 * 2 * 8 * 64 * 4 * 9
    assert set(found.entries) == {OURS, "torch"}
    for one in found.entries.values():
        assert one.error is not None
        assert one.error < 1e-5
        assert one.seconds is not None
        assert one.seconds.count == 3
    assert found.algorithm in algorithms()
    assert len(found.at_peak) == 3  # in turns with the others, of every round its own


def test_the_peak_is_what_the_machine_did_in_the_same_rounds() -> None:
    """Half the speed for everybody, as where two threads share a core for a while, is no other share of the peak."""
    quiet, busy = row(striate=entry(0.5, 1.0)), row(striate=entry(1.0, 2.0))
    assert quiet.share_of_peak == replace(busy, at_peak=(2.0, 4.0)).share_of_peak
    assert quiet.share_of_peak is not None
    assert quiet.share_of_peak.median == 2.0
    assert replace(quiet, at_peak=()).share_of_peak is None
    assert _native.multiply_adds(2, 64) == 2 * _native.multiply_adds(1, 64) > 0


def test_a_wrong_result_is_reported_and_not_timed() -> None:
    (found,) = measure([LAYER], [1], [peer(Wrong)], threads=1, rounds=5)
    wrong = found.entries["wrong"]
    assert wrong.seconds is None
    assert wrong.error == pytest.approx(1, abs=0.5)
    assert "differs from float64 by" in wrong.note
    assert "not timed" in wrong.note
    assert Wrong.runs == 1
    assert found.speed_up("wrong") is None


def test_a_result_that_is_no_number_has_no_error_that_json_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wrong, "result", lambda self: np.full(self.problem.result_shape, np.nan, np.float32))
    (found,) = measure([LAYER], [1], [peer(Wrong)], threads=1, rounds=3)
    note = "its result is of another size, or has numbers that are none: not timed"
    assert found.entries["wrong"] == Entry(note=note, takes=found.entries["wrong"].takes)
    json.dumps(conv_record(machine(), [found], [peer(Wrong)], {}), allow_nan=False)


def test_a_library_that_cannot_leaves_a_reason() -> None:
    (found,) = measure([LAYER], [1], [peer(Unable)], threads=1, rounds=3)
    assert found.entries["unable"] == Entry(note="it has no such thing")
    assert found.fastest(["unable"]) is None


def test_a_library_that_fails_leaves_its_words_and_the_row_stands() -> None:
    (found,) = measure([LAYER], [1], [peer(Failing)], threads=1, rounds=3)
    assert found.entries["failing"] == Entry(note="RuntimeError: no such instruction on this processor")
    assert found.ours.seconds is not None


def test_memory_that_is_only_kept_is_given_back_before_a_row_is_called_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = Problem(layer=LAYER, batch=1, threads=1)
    monkeypatch.setattr(conv._native, "return_memory", lambda: True)
    free = [1, 1 << 30]
    monkeypatch.setattr(conv, "examine", lambda: SimpleNamespace(free_memory_nbytes=free.pop(0)))
    assert conv._lack_of_memory(problem, 2) == ""
    assert not free
    free = [1, 1]
    assert conv._lack_of_memory(problem, 2).startswith("needs about 0 GiB of memory, 0 are free")


def test_a_row_too_large_for_the_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "_lack_of_memory", lambda problem, subjects: "needs about 9 GiB of memory")
    (found,) = measure([LAYER], [1], [PEERS["torch"]], threads=1, rounds=3)
    assert {one.note for one in found.entries.values()} == {"needs about 9 GiB of memory"}
    assert in_short(found).endswith("forward: striate needs about 9 GiB of memory")


def test_speed_up_is_the_median_of_neighbours_ratios() -> None:
    found = row(striate=entry(1.0, 2.0, 1.0), torch=entry(3.0, 8.0, 5.0))
    ratio = found.speed_up("torch")
    assert ratio is not None
    assert ratio.median == 4.0


def test_summaries_are_geometric_means_over_the_rows_fastest() -> None:
    rows = [
        row(striate=entry(1.0), torch=entry(2.0), ncnn=entry(4.0)),
        row(striate=entry(1.0), torch=entry(8.0), ncnn=entry(3.0)),
    ]
    found = summaries(rows, ["torch"], ["torch", "ncnn"])
    assert found["the fastest direct peer"].mean == pytest.approx(4.0)
    assert found["the fastest peer"].mean == pytest.approx(math.sqrt(6))
    assert found["the fastest peer"].worst == 2.0
    assert found["ncnn"].mean == pytest.approx(math.sqrt(12))
    assert found["torch"].count == 2


def test_totals_weigh_layers_by_how_often_the_net_has_them() -> None:
    rows = [row(1, striate=entry(1.0, error=1e-5), torch=entry(3.0)), row(1, striate=entry(2.0), torch=entry(2.5))]
    unmeasured = row(4, striate=Entry(note="no"), torch=entry(1.0))
    found = totals([*rows, unmeasured], ["torch"])
    assert found == {1: {"peer": 11.0, "ours": 6.0, "at_peak": 6.0, "flops": 4000.0, "error": 1e-5}}


def test_a_step_is_all_three_passes_or_nothing() -> None:
    passes = [
        replace(row(striate=entry(s), torch=entry(3.0)), which=which)
        for s, which in zip((1.0, 2.0, 4.0), PASSES, strict=True)
    ]
    assert steps(passes, "torch") == [(LAYER, 1, 9.0, 7.0)]
    assert steps(passes[:2], "torch") == []
    untimed = replace(passes[2], entries={OURS: Entry(note="cannot"), "torch": entry(3.0)})
    assert steps([*passes[:2], untimed], "torch") == []


def test_the_record_has_what_the_table_shows() -> None:
    rows = [row(striate=entry(1.0, 1.0), torch=entry(2.0, 3.0))]
    found = conv_record(machine(), rows, [PEERS["torch"]], {"net": "vgg19"})
    (one,) = found["rows"]
    assert one["layer"] == "4-8-3x3@8"
    assert one["effective_flops_per_second"] == 1000
    assert one["share_of_peak"]["median"] == 1.5  # of 1 and 2, round by round
    assert one["fastest_peer"] == "torch"
    assert one["speed_up_over_all"]["median"] == 2.5
    assert one["subjects"]["torch"]["seconds"]["median"] == 2.5
    assert found["speed_up"]["forward"]["torch"]["mean"] == 2.5
    assert found["machine"]["peak_flops"] == 1e3


def test_pictures_have_every_subject_and_the_peak() -> None:
    rows = [row(striate=entry(1e-6), torch=entry(2e-6)), row(2, striate=entry(1e-6), torch=Entry(note="no"))]
    svg = conv_picture("Layers", rows, peak=2e9)
    assert svg.count("<circle") == 2 + 3  # the key, and three times
    assert "multiply-add peak 2" in svg
    assert "N = 2, forward" in svg
    (first, second) = roofline_points(rows, "torch")
    assert (first.rate, first.peer_rate, second.peer_rate) == (1e9, 5e8, None)
