"""The log: what reaches TensorBoard, and when."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from striate.train.log import RunLog


def points(folder: Path) -> list[tuple[int, float, float]]:
    """(step, value, seconds since 1970) of loss/step, as TensorBoard itself reads them."""
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    if "loss/step" not in board.Tags()["scalars"]:
        return []
    return [(event.step, event.value, event.wall_time) for event in board.Scalars("loss/step")]


def test_points_reach_tensorboard_at_sync_with_the_time_they_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunLog(tmp_path)
    for step, now in ((1, 1000.0), (2, 1001.5)):
        monkeypatch.setattr("striate.train.log.time.time", lambda now=now: now)
        log.scalars(step, loss__step=step / 2, accuracy__validation=None)
    monkeypatch.undo()
    assert points(tmp_path) == []
    log.sync()
    assert points(tmp_path) == [(1, 0.5, 1000.0), (2, 1.0, 1001.5)]
    log.scalars(3, loss__step=0.25)
    log.close()
    assert [step for step, *_ in points(tmp_path)] == [1, 2, 3]


def test_the_log_s_name_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is flushed in a folder that is not may have no name afterwards."""
    flushed: list[Path] = []
    monkeypatch.setattr("striate.train.log.sync_folder", flushed.append)
    RunLog(tmp_path, tensorboard=False).close()
    assert flushed == [tmp_path]
