"""The queue: each trial to one process, in order; back from the dead under its own number; outcomes with causes."""

import itertools
import multiprocessing
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest

from striate.errors import StriateError
from striate.search.ledger import TRIES, Ledger, Taken
from striate.search.process import gone, own_name
from striate.search.space import Choices, Dimension, Range
from striate.search.storage import open_storage

SPACE: dict[str, Dimension] = {
    "lr": Range(low=1e-4, high=1.0, log=True),
    "model_settings.hidden": Choices(options=([16], [32, 16])),
}
POINTS = [{"lr": 10.0**-i, "model_settings.hidden": [16]} for i in range(4)]
PRUNER = optuna.pruners.NopPruner()


def sampler(number: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=number)


@pytest.fixture(params=["sqlite", "journal"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db" if request.param == "sqlite" else f"journal:{tmp_path}/study.journal"


@pytest.fixture
def ledger(address: str) -> Ledger:
    made = Ledger(open_storage(address), "mine")
    made.open_stage(0, SPACE, POINTS, ["said"], "the plan")
    return made


def take(ledger: Ledger, owner: str = "me") -> Taken:
    taken = ledger.take(0, owner, sampler, PRUNER)
    assert taken is not None
    return taken


@cache
def dead_process() -> str:
    """The name of a process that was."""
    code = "from striate.search.process import own_name; print(own_name())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_stage_is_there_for_everybody_who_knows_the_storage(ledger: Ledger, address: str) -> None:
    other = Ledger(open_storage(address), "mine")
    assert other.is_open(0)
    assert not other.is_open(1)
    assert (other.plan(), other.space(0), other.said(0)) == ("the plan", SPACE, ("said",))
    assert Ledger(open_storage(address), "another").plan() is None
    assert [record.values for record in other.records(0)] == POINTS


def test_opening_a_stage_twice_adds_nothing(ledger: Ledger, address: str) -> None:
    Ledger(open_storage(address), "mine").open_stage(0, SPACE, POINTS, ["other"], "the plan")
    assert len(ledger.records(0)) == len(POINTS)
    assert ledger.said(0) == ("said",)


def test_a_stage_whose_filling_was_killed_is_filled_by_the_next(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("striate.search.ledger.FILL_SECONDS", 0.0)
    storage = open_storage(address)
    half = optuna.create_study(study_name="mine/1", storage=storage, direction="maximize")
    half.enqueue_trial({"lr": 1.0, "model_settings.hidden": "[16]"}, user_attrs={"slot": 0})
    ledger = Ledger(storage, "mine")
    ledger.open_stage(0, SPACE, POINTS, [], "the plan")
    assert [record.values for record in ledger.records(0)] == POINTS


def test_a_stage_that_another_fills_slowly_is_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever fills it puts in a trial for every look, and comes to an end long after the wait for one."""
    monkeypatch.setattr("striate.search.ledger.FILL_SECONDS", 0.5)
    slow, other = (Ledger(open_storage(address), "mine") for _ in range(2))
    study = optuna.create_study(study_name="mine/1", storage=open_storage(address), direction="maximize")
    left = [dict(point, **{"model_settings.hidden": "[16]"}) for point in POINTS]

    def fill(seconds: float) -> None:
        if left:
            study.enqueue_trial(left.pop(0), user_attrs={"slot": len(POINTS) - len(left) - 1})
        elif not slow.is_open(0):
            study.set_user_attr("space", {"lr": "1e-4:1.0:log", "model_settings": {"hidden": [[16], [32, 16]]}})
            study.set_user_attr("filled", True)

    now = itertools.count(0.0, 0.4)
    monkeypatch.setattr("striate.search.ledger.time.monotonic", lambda: next(now))
    monkeypatch.setattr("striate.search.ledger.time.sleep", fill)
    other.open_stage(0, SPACE, POINTS, [], "the plan")
    assert [record.values for record in other.records(0)] == POINTS


def test_trials_are_taken_in_order_with_their_values(ledger: Ledger) -> None:
    taken = [take(ledger) for _ in POINTS]
    assert [one.values for one in taken] == POINTS
    assert [one.key for one in taken][-1] == "stage1-0004"
    assert ledger.take(0, "me", sampler, PRUNER) is None
    assert {record.outcome for record in ledger.records(0)} == {"running"}


def _grab(address: str, found: Any) -> None:
    ledger = Ledger(open_storage(address), "race")
    while (taken := ledger.take(0, own_name(), sampler, PRUNER)) is not None:
        found.put(taken.number)


@pytest.mark.slow
def test_no_trial_is_taken_twice_by_processes_that_race_for_them(address: str) -> None:
    count = 40
    points = [{"lr": 0.1, "model_settings.hidden": [16]}] * count
    Ledger(open_storage(address), "race").open_stage(0, SPACE, points, [], "")
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    processes = [context.Process(target=_grab, args=(address, found)) for _ in range(3)]
    for process in processes:
        process.start()
    numbers = sorted(found.get(timeout=120) for _ in range(count))
    for process in processes:
        process.join(60)
    assert numbers == list(range(count))
    assert found.empty()


def test_an_outcome_is_kept_with_its_cause_and_its_curve(ledger: Ledger) -> None:
    first, second, third, fourth = (take(ledger) for _ in range(4))
    first.trial.report(0.25, 1)
    first.trial.report(0.5, 2)
    ledger.finish(first, "finished", 0.5, loss=1.25, seconds=3.0)
    ledger.finish(second, "exploded", cause="the loss is nan")
    ledger.finish(third, "failed", cause="no such net")
    ledger.finish(fourth, "pruned", 0.1, cause="after epoch 1")
    records = ledger.records(0)
    assert [record.outcome for record in records] == ["finished", "exploded", "failed", "pruned"]
    assert [record.cause for record in records] == ["", "the loss is nan", "no such net", "after epoch 1"]
    assert (records[0].value, records[0].loss, records[0].seconds) == (0.5, 1.25, 3.0)
    assert records[0].curve == ((1, 0.25), (2, 0.5))
    assert all(record.value is None for record in records[1:])
    states = [trial.state.name for trial in ledger.study(0).trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "PRUNED"]  # an explosion is knowledge for TPE, a failure is none


def test_a_trial_whose_owner_is_gone_goes_back_under_its_own_number(ledger: Ledger) -> None:
    lost, alive = take(ledger, dead_process()), take(ledger, own_name())
    lost.trial.report(0.25, 1)
    assert [record.name for record in ledger.recover(0, grace_seconds=1e9)] == ["1.1"]
    again = take(ledger, own_name())
    assert (again.number, again.values, again.told) == (lost.number, lost.values, 1)
    assert ledger.owns(alive)
    ledger.finish(lost, "finished", 0.9)  # the dead do not speak
    assert ledger.records(0)[0].outcome == "running"


def test_a_trial_without_a_pulse_goes_back_after_the_grace(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("striate.search.ledger.time.monotonic", lambda: now)
    far = take(ledger, "elsewhere/boot/1#7#1")  # nobody here can know that it is gone
    assert ledger.recover(0, 60.0) == []
    now += 50
    ledger.pulse(far, 1)
    assert ledger.recover(0, 60.0) == []
    now += 59
    assert ledger.recover(0, 60.0) == []
    now += 2
    assert [record.number for record in ledger.recover(0, 60.0)] == [far.number]
    assert not ledger.owns(far)


def test_a_trial_that_kills_its_workers_is_given_up(ledger: Ledger) -> None:
    for _ in range(TRIES):
        assert ledger.records(0)[0].outcome == "waiting"
        take(ledger, dead_process())
        ledger.recover(0, 1e9)
    record = ledger.records(0)[0]
    assert (record.outcome, record.cause) == ("failed", "its worker was killed 3 times; is there enough memory?")


def test_a_trial_that_gets_further_each_time_is_not_given_up(ledger: Ledger) -> None:
    """On a machine that is taken away every hour it is the machine."""
    for epoch in range(1, TRIES + 3):
        taken = take(ledger, dead_process())
        taken.trial.report(0.1 * epoch, epoch)
        ledger.recover(0, 1e9)
    assert ledger.records(0)[0].outcome == "waiting"
    for _ in range(TRIES):
        take(ledger, dead_process())
        ledger.recover(0, 1e9)
    assert ledger.records(0)[0].outcome == "failed"


def test_an_interrupted_trial_goes_back_and_is_not_blamed(ledger: Ledger) -> None:
    for _ in range(TRIES + 2):
        ledger.put_back(take(ledger))
    assert ledger.records(0)[0].outcome == "waiting"


def test_a_process_knows_itself_and_the_dead() -> None:
    assert not gone(own_name())
    assert gone(dead_process())
    assert not gone("elsewhere/boot/1#1#1")
    assert not gone("")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", r"--storage study\.db: expected an address such as sqlite:///search\.db, journal:/shared"),
        ("sqlite:////proc/nowhere/study.db", r"--storage sqlite:////proc/nowhere/study\.db: .*unable to open database"),
        ("oracle+none://a:b@c/d", r"--storage oracle\+none://a:…@c/d: "),
        ("journal:/proc/nowhere/a.journal", r"--storage journal:/proc/nowhere/a\.journal: cannot write"),
    ],
)
def test_a_storage_that_cannot_be_is_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(StriateError, match=message) as raised:
        open_storage(url)
    assert "\n" not in str(raised.value)
