"""`striate bench`: what a wrong call is told, and that the small ones run."""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from striate.bench import conv, strassen
from striate.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["conv", "--peers", "pytorch"], 2, "unknown peer 'pytorch'; did you mean 'torch'?"),
        (["conv", "--net", "vgg91"], 2, "unknown net 'vgg91'; did you mean 'vgg19'?"),
        (["conv", "--layer", "7x7"], 2, "no convolution of vgg19 matches --layer '7x7'; it has 3-64-3x3@224, "),
        (["conv", "--shape", "8-8-3@9"], 2, "'8-8-3@9' is no convolution: write MAPS-MAPS-HxW@PIXELS, then "),
        (["conv", "--shape", "8-8-3x3@9", "--net", "alexnet"], 2, "--shape names convolutions of no net: leave out "),
        (["conv", "--precision", "bf61"], 2, "unknown --precision 'bf61'; did you mean 'bf16'?"),
        (["conv", "--backward", "weight"], 2, "unknown --backward 'weight'; did you mean 'weights'?"),
        (["conv", "--layout", "nhcw"], 2, "unknown --layout 'nhcw'; did you mean 'nchw'?"),
        (["conv", "--algorithm", "winograd8"], 2, "unknown algorithm 'winograd8'; did you mean 'winograd"),
        (
            ["conv", "--batch", "1,x"],
            2,
            "--batch-size 1,x: expected whole numbers from 1 on with commas between, e.g. 1,16,64",
        ),
        (["conv", "--plot", "a.png"], 2, "--plot a.png is no SVG file; pictures are drawn as SVG: give a name that "),
        (["conv", "--rounds", "1"], 2, "invalid value for '--rounds': "),
        (
            ["conv", "--layer", "64-*, nosuch"],
            2,
            "no convolution of vgg19 matches --layer 'nosuch'; it has 3-64-3x3@224,",
        ),
        (["conv", "--output", "none/a.json"], 1, "cannot write none/a.json: there is no such folder; make it first"),
        (["conv", "--plot", "none/a.svg"], 1, "cannot write none/a.svg: there is no such folder; make it first"),
        (["fft", "--output", "."], 1, "cannot write .: it is a folder; give the name of a file"),
        (
            ["fft", "--peer", "torch,torch-frozen"],
            2,
            "unknown --peer 'torch,torch-frozen'; did you mean 'torch-frozen'?",
        ),
        (["roofline", "--peer", ""], 2, "unknown --peer ''; choose from torch, "),
        (["im2col", "--output", "none/a.json"], 1, "cannot write none/a.json: "),
        (["nets", "--output", "none/a.json"], 1, "cannot write none/a.json: "),
        (["strassen", "--output", "none/a.json"], 1, "cannot write none/a.json: "),
        (["nets", "--net", "AlexNet"], 2, "unknown net 'AlexNet'; did you mean 'AlexNet-OWT'?"),
        (["nets", "--ways", "eager,compiled"], 2, "unknown --ways 'compiled'; did you mean 'compile'?"),
    ],
)
def test_a_wrong_call_is_one_line(args: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *args]) == code
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith(f"striate bench {args[0]}: error: {message}")
    assert told.out == ""


def test_json_alone_is_on_standard_output(striate: Run, tmp_path: Path) -> None:
    """Whatever libraries print; and the files asked for are there."""
    args = ["--layer", "512-512-3x3@14", "-b", "1", "--rounds", "3", "--threads", "1", "--json"]
    done = striate("bench", "conv", *args, "--plot", "a.svg", "--output", "a.json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg ")
    (row,) = record["rows"]
    assert {"striate", "torch"} <= set(row["subjects"])
    assert row["subjects"]["striate"]["relative_error"] < 1e-4
    assert record["machine"]["threads"] == 1


def cut_off_after_a_row(monkeypatch: pytest.MonkeyPatch, table: ModuleType) -> None:
    """Whatever this module measures, Ctrl-C comes after the first row."""
    whole = table.measure

    def cut_off(*args: Any, **settings: Any) -> Iterator[Any]:
        yield from itertools.islice(whole(*args, **settings), 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "measure", cut_off)


def test_a_run_that_is_cut_off_leaves_what_it_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cut_off_after_a_row(monkeypatch, conv)
    args = ["--net", "lenet5", "--layer", "*", "-b", "1,2", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    assert main(["bench", "conv", *args, "--output", str(tmp_path / "a.json")]) != 0
    (row,) = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]
    assert row["subjects"]["striate"]["relative_error"] < 1e-4


def test_every_table_is_written_row_by_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cut_off_after_a_row(monkeypatch, strassen)
    args = ["--sizes", "32,64", "--rounds", "3", "--threads", "1", "--output", str(tmp_path / "a.json")]
    assert main(["bench", "strassen", *args]) != 0
    assert len(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["rows"]) == 1


def test_without_a_timed_row_there_is_a_table_and_no_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    args = ["--shape", "512-512-3x3@2240", "-b", "6400", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    assert main(["bench", "conv", *args, "--plot", str(tmp_path / "a.svg")]) == 0
    told = capsys.readouterr()
    assert "512→512" in told.out
    assert "are free: a smaller --batch-size needs less" in told.out
    assert told.err.splitlines()[-1] == f"nothing was timed: {tmp_path / 'a.svg'} is not drawn"
    assert not (tmp_path / "a.svg").exists()


def test_blanks_after_commas_are_none_of_a_pattern_or_key(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["-b", "1", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    assert main(["bench", "conv", "--shape", "8-8-3x3@9, 8-8-1x1@9", *args]) == 0
    assert "8→8 1×1@9" in capsys.readouterr().out
    assert main(["bench", "conv", "--net", "lenet5", "--layer", "6-*, !6-*", *args]) == 2


def test_rows_are_counted_over_all_passes_and_asked_for_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    args = ["--shape", "8-8-3x3@9,8-8-3x3@9,", "-b", "1,1", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    output = tmp_path / "a.json"
    assert main(["bench", "conv", *args, "--backward", "all", "--algorithm", "direct", "--output", str(output)]) == 0
    told = capsys.readouterr()
    counts = [line.partition(" ")[0] for line in told.err.splitlines() if line.startswith("[")]
    assert counts == ["[1/3]", "[2/3]", "[3/3]"]
    assert "all three as one step" in told.out
    assert json.loads(output.read_text(encoding="utf-8"))["settings"]["algorithm"] == "direct"


def test_every_pass_has_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--net", "lenet5", "--layer", "*", "-b", "2", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    assert main(["bench", "conv", *args, "--backward", "all"]) == 0
    out = capsys.readouterr().out
    for title in ("forward:", "backward to data:", "backward to weights:"):
        assert title in out


def test_ieee_keeps_to_products_of_float32(striate: Run) -> None:
    """In a process of its own, since the setting is the process's."""
    args = ["--layer", "512-512-3x3@14", "-b", "1", "--rounds", "3", "--threads", "1", "--peers", "torch"]
    told = striate("bench", "conv", *args, "--ieee").stdout
    assert "winograd" in told
    assert "bf16x3" not in told
    named = striate("bench", "conv", *args, "--algorithm", "winograd2_bf16x3").stdout
    assert "…_bf16x3: a product of float32 as three of bfloat16; peers make it in float32" in named
