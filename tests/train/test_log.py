"""The log: what reaches TensorBoard, and when."""

import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from striate.errors import StriateError
from striate.train.log import RunLog, read_log
from striate.train.watch import LogTail


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


def test_tensorboard_s_file_on_a_full_disk_is_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was written by a thread, which printed a traceback; the error that followed named log.jsonl, or bytes."""
    log = RunLog(tmp_path)
    assert [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()] == []
    log.write("start")
    log.scalars(1, loss__step=1.0)
    monkeypatch.setattr(log._boards, "path", Path("/dev/full"))
    with pytest.raises(StriateError) as caught:
        log.sync()
    assert str(caught.value) == (
        "cannot write /dev/full: the disk is full; free some space and run the command again, a run with --resume; "
        "the last checkpoint is intact"
    )
    log.close()
    assert [record["event"] for record in read_log(tmp_path)] == ["start"]
    assert capfd.readouterr().err == ""


def test_a_log_on_a_full_disk_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    log = RunLog(tmp_path, tensorboard=False)
    for said in (lambda: log.write("start"), log.close):  # the second was an error without a file
        with pytest.raises(
            StriateError, match=r"^cannot write .*log\.jsonl: the disk is full; free some space and run"
        ):
            said()


def test_what_was_before_a_resume_is_purged_from_tensorboard(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in (1, 2, 3):
        log.scalars(step, loss__step=step / 2)
    kept = log.sync()
    log.close()
    log = RunLog(tmp_path, keep_nbytes=kept, step=2)
    log.scalars(2, loss__step=7.0)
    log.histogram(2, "weights", -1.0, 1.0, (1, 3))
    log.close()
    assert [(step, value) for step, value, _ in points(tmp_path)] == [(1, 0.5), (2, 7.0)]
    (held,) = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Histograms("weights")
    assert (held.histogram_value.num, held.histogram_value.sum) == (4, 1.0)
    assert [count for count in held.histogram_value.bucket if count] == [1, 3]


@pytest.mark.parametrize("line", [b"7", b"null", b'["start"]', b'{"step": 3}', b'{"event": "st', b"[" * 10**5, b"\0\0"])
def test_a_line_that_is_no_record_is_passed_over(tmp_path: Path, line: bytes) -> None:
    """What damage or a hand left that is JSON all the same ended `striate watch`, and the run whose report it was."""
    log = RunLog(tmp_path, tensorboard=False)
    log.write("start")
    log.close()
    with log.path.open("ab") as file:
        file.write(line + b"\n")
    log = RunLog(tmp_path, tensorboard=False)
    log.write("end")
    log.close()
    assert [record["event"] for record in read_log(tmp_path)] == ["start", "end"]
    assert [record["event"] for record in LogTail(log.path).more()] == ["start", "end"]
