"""Where the time goes: sums over threads, and what a step waits for."""

import threading

import pytest

from striate.data.stages import STAGES, Lap, Stages, wait_shares


def test_sums_over_threads():
    stages = Stages()
    threads = [
        threading.Thread(target=lambda: [stages.add({"read": 0.25, "augment": 1.0}) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.drain() == {"read": 500.0, "decode": 0.0, "augment": 2000.0, "transfer": 0.0}
    assert stages.drain() == dict.fromkeys(STAGES, 0.0)


def test_a_lap_loses_nothing():
    lap = Lap()
    for stage in ("read", "decode", "read"):
        lap(stage)
    assert set(lap.seconds) == {"read", "decode"}
    assert all(seconds >= 0 for seconds in lap.seconds.values())


def test_the_wait_is_divided_as_the_time_is():
    shares = wait_shares({"read": 1.0, "decode": 2.0, "augment": 1.0}, 0.4)
    assert shares == pytest.approx({"read": 0.1, "decode": 0.2, "augment": 0.1, "transfer": 0.0, "compute": 0.6})
    assert sum(wait_shares({}, 0.3).values()) == pytest.approx(1.0)
