"""`striate watch`: what it says of a run that is over, of one under way, and of none."""

import json
import threading
import time
from pathlib import Path

import pytest

from striate.cli import main
from striate.cli import watch as command

TRAIN = ["train", "digits", "--model", "two_layer", "--size", "8", "--threads", "1", "--precision", "fp32",
         "--no-channels-last", "-j", "1"]  # fmt: skip


def trained(folder: Path, name: str, *args: str) -> Path:
    assert main([*TRAIN, "--output", str(folder), "--name", name, *args]) == 0
    return folder / name


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that cannot learn: its rate is too small by far."""
    return trained(tmp_path_factory.mktemp("runs"), "timid", "--epochs", "6", "--lr", "1e-7")


def test_an_ended_run_is_judged_again_as_it_was_while_it_ran(sick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(sick)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(f"run {sick}: finished: ")
    assert rest[0].startswith("watch: learning rate too low: ")
    assert main(["watch", str(sick), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [rest[i] for i in range(len(told))] == [
        f"watch: {one['illness']}: {one['evidence']}; {one['remedy']}" for one in told
    ]
    section = (sick / "report.html").read_text().split("Was it well?")[1].split("</section>")[0]
    assert "<b>Learning rate too low</b>" in section
    assert section.count("<svg") > 5


def test_the_newest_run_and_its_layers(sick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "--output", str(sick.parent), "--layers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"run {sick}: ")
    assert ["weights", "of", "gradient", "update/weight", "rms"] in [line.split() for line in out.splitlines()]
    assert "saturated" in out


def test_a_run_without_a_watch_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, "unwatched", "--epochs", "1", "--no-watch")
    assert main(["watch", str(run), "--layers"]) == 0
    out = capsys.readouterr().out
    assert "no look at the layers is in its log (--no-watch, or an older run)" in out
    assert "This run was not watched." in (run / "report.html").read_text()


def test_a_run_is_followed_to_its_end(
    sick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is written behind the follower's back: a record in two halves, a pause, the rest."""
    monkeypatch.setattr(command, "POLL_SECONDS", 0.01)
    run = tmp_path / "live"
    run.mkdir()
    (run / "config.toml").write_bytes((sick / "config.toml").read_bytes())
    lines = (sick / "log.jsonl").read_bytes().splitlines(keepends=True)
    (run / "log.jsonl").write_bytes(b"".join(lines[:2]))

    def write() -> None:
        with (run / "log.jsonl").open("ab", buffering=0) as log:
            for line in lines[2:]:
                log.write(line[:5])
                time.sleep(0.003)
                log.write(line[5:])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert main(["watch", str(run), "--follow"]) == 0
    finally:
        writer.join()
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"run {run}: under way, or interrupted")
    assert [line.split()[1] for line in out if line.startswith("epoch ")] == [str(e) for e in range(1, 7)]
    assert [line.split(":")[0] for line in out].count("finished") == 1


def test_a_log_that_a_resume_cuts_back_is_read_anew(sick: Path, tmp_path: Path) -> None:
    """A follower has seen three epochs; the run was killed, goes on from the first, and its records come again."""
    from striate.train.watch import LogTail, Series

    lines = (sick / "log.jsonl").read_bytes().splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "epoch"]
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(lines[: ends[2] + 1]))
    tail, series = LogTail(log), Series()
    series.add(tail.more())
    log.write_bytes(b"".join(lines[: ends[0] + 1]))
    series.add(tail.more())
    log.write_bytes(b"".join(lines))
    series.add(tail.more())
    whole = Series().add(LogTail(sick / "log.jsonl").more())
    assert [epoch.epoch for epoch in series.epochs] == [epoch.epoch for epoch in whole.epochs]
    assert series.steps == whole.steps
    assert series.looks == whole.looks


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "nowhere"),
        (["--output", "."], "no run in . to watch; give its folder: striate watch RUN"),
    ],
)
def test_refusals(
    args: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["watch", *args]) == 1
    err = capsys.readouterr().err
    assert err.startswith("striate watch: error: ")
    assert said in err
    assert err.count("\n") == 1
