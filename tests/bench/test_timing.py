"""Rounds on a clock that the test turns: order, warm-up, repeats, and what is made of samples."""

from collections import Counter
from collections.abc import Callable

import pytest

from striate.bench.timing import LONG_SECONDS, PAUSE_SECONDS, Clock, interleave, ratio, spread


class Turned:
    """A clock that stands still but while subjects run, and a log of who ran."""

    def __init__(self) -> None:
        self.time = 0.0
        self.log: list[str] = []
        self.pauses: list[float] = []
        self.clock = Clock(now=lambda: self.time, sleep=self.pauses.append)

    def subject(self, name: str, seconds: Callable[[int], float]) -> Callable[[], None]:
        def run() -> None:
            self.time += seconds(self.log.count(name))
            self.log.append(name)

        return run


def test_a_sample_is_the_mean_of_as_many_runs_as_fill_it() -> None:
    turned = Turned()
    samples = interleave({"fast": turned.subject("fast", lambda i: 0.001)}, 3, least_seconds=0.01, clock=turned.clock)
    assert samples["fast"] == pytest.approx([0.001] * 3)
    assert len(turned.log) == 2 + 3 * (1 + 10)  # a look of two, then a run to warm up and ten that count


def test_the_first_runs_of_all_are_not_counted() -> None:
    turned = Turned()
    slow_at_first = turned.subject("a", lambda i: 9.0 if i == 0 else 0.5)
    assert interleave({"a": slow_at_first}, 2, clock=turned.clock) == {"a": [0.5, 0.5]}
    assert len(turned.log) == 2 + 2  # half a second is long: it needs no warming up
    assert LONG_SECONDS < 0.5


def test_subjects_take_turns_and_everybody_follows_everybody() -> None:
    turned = Turned()
    runs = {name: turned.subject(name, lambda i: 1.0) for name in "abc"}
    interleave(runs, 6, clock=turned.clock)
    rounds = turned.log[6:]
    assert all(sorted(rounds[i : i + 3]) == ["a", "b", "c"] for i in range(0, 18, 3))
    pairs = Counter((rounds[i + j], rounds[i + j + 1]) for i in range(0, 18, 3) for j in range(2))
    assert set(pairs.values()) == {2}
    assert len(pairs) == 6


def test_threads_of_the_one_before_get_time_to_sleep() -> None:
    turned = Turned()
    interleave({name: turned.subject(name, lambda i: 1.0) for name in "ab"}, 3, clock=turned.clock)
    assert turned.pauses == [PAUSE_SECONDS] * (2 + 2 * 3)


def test_a_change_of_speed_between_rounds_leaves_the_ratio_alone() -> None:
    turned = Turned()
    slower = lambda i: 1.0 if turned.time < 30 else 7.0  # noqa: E731  # the machine, seen by both subjects
    runs = {"a": turned.subject("a", lambda i: 2 * slower(i)), "b": turned.subject("b", slower)}
    samples = interleave(runs, 9, clock=turned.clock)
    assert ratio(samples["a"], samples["b"]).median == 2.0
    assert max(samples["b"]) == 7.0


def test_spread_of_one_sample_is_that_sample() -> None:
    only = spread([3.0])
    assert (only.median, only.low, only.high, only.least, only.count) == (3.0, 3.0, 3.0, 3.0, 1)


def test_quartiles_are_those_of_numpy() -> None:
    import numpy as np

    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    found = spread(values)
    assert (found.low, found.median, found.high) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))
