"""The race: turns, early leavers, budgets, and a machine that changes its speed."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from striate.conv.race import ROUNDS, SURE, race, typical


class Machine:
    """A clock, runs that move it, and the order they ran in."""

    def __init__(self, slowness: Callable[[float], float] = lambda now: 1.0) -> None:
        self.seconds, self.slowness, self.order = 0.0, slowness, ""

    def now(self) -> float:
        return self.seconds

    def takes(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.order += name
            self.seconds += seconds * self.slowness(self.seconds)

        return run


def test_they_take_turns_and_the_hopeless_leave() -> None:
    machine = Machine()
    runs = {name: machine.takes(name, seconds) for name, seconds in {"a": 1.0, "b": 1.05, "c": 1.3, "d": 2.0}.items()}
    times = race(runs, rounds=9, seconds=99, now=machine.now)
    assert machine.order == "abcd" * 4 + "abc" * 3 + "ab" * 2
    assert len(times["c"]) == 7


def test_two_disturbed_runs_in_a_row_throw_nobody_out() -> None:
    machine = Machine()
    slow = [2.0, 2.0]  # times what they take, the first two runs of b
    steady, disturbed = machine.takes("a", 1.0), machine.takes("b", 0.9)

    def b() -> None:
        disturbed()
        machine.seconds += 0.9 * (slow.pop() - 1.0) if slow else 0.0

    times = race({"a": steady, "b": b}, seconds=99, now=machine.now)
    assert typical(times["b"]) < typical(times["a"])


def test_one_disturbed_run_throws_nobody_out() -> None:
    machine = Machine(lambda now: 5.0 if now < 1.0 else 1.0)  # only the first run of all
    times = race({"a": machine.takes("a", 1.0), "b": machine.takes("b", 1.2)}, seconds=99, now=machine.now)
    assert min(times, key=lambda name: min(times[name])) == "a"
    assert len(times["a"]) == ROUNDS


def test_long_runs_end_after_the_sure_rounds() -> None:
    machine = Machine()
    times = race({"a": machine.takes("a", 1.0), "b": machine.takes("b", 1.0)}, seconds=0.4, now=machine.now)
    assert {name: len(found) for name, found in times.items()} == {"a": SURE, "b": SURE}


@given(st.dictionaries(st.text("abcdef", min_size=1), st.floats(1e-3, 10.0), min_size=1, max_size=6))
def test_the_fastest_wins_on_a_still_machine(seconds: dict[str, float]) -> None:
    machine = Machine()
    times = race({n: machine.takes(n, s) for n, s in seconds.items()}, now=machine.now)
    winner = min(times, key=lambda name: min(times[name]))
    assert seconds[winner] <= min(seconds.values()) * (1 + 1e-6)


def test_nobody_races() -> None:
    assert race({}) == {}
