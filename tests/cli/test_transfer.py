"""`striate transfer`: from a model file to a page, by every way it can be asked."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from striate.cli import main, transfer_print
from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.weights import ModelCard, save_model
from striate.train.transfer import page
from striate.train.transfer.comparison import Trial


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """A folder of images in three greys, and a net that has never been trained: DATA --from MODEL, and all it needs."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 4)):
        for level, name in enumerate(("dark", "mixed", "light")):
            folder = tmp_path / "greys" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(draw.normal(60 + 65 * level, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    torch.manual_seed(0)
    preprocess = {"channels": 3, "size": [16, 16], "resize": "crop", "resize_size": None, "filter": "bilinear",
                  "mean": [0.5] * 3, "std": [0.25] * 3}  # fmt: skip
    card = ModelCard(
        net="resnet20", classes=("a", "b", "c", "d"), in_chans=3, input_size=(16, 16), preprocess=preprocess
    )
    save_model(tmp_path / "source.safetensors", create_model("resnet20", num_classes=4, input_size=(16, 16)), card)
    return [
        "transfer", str(tmp_path / "greys"), "--from", str(tmp_path / "source.safetensors"), "--cache",
        str(tmp_path / "features"), "--output", str(tmp_path / "runs"), "--precision", "fp32", "--threads", "1",
        "-j", "0", "--device", "cpu", "-b", "6",
    ]  # fmt: skip


def test_auto_measures_says_why_and_does_it(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*asked, "--steps", "6"]) == 0
    out = capsys.readouterr().out
    assert "training images of 3 classes" in out
    assert "\nplan " in out
    assert "the source's own answers" in out.lower() or "The source's own answers" in out
    assert "test accuracy" in out
    (page,) = (tmp_path / "runs").glob("*/transfer.html")
    assert "Why this plan?" in page.read_text()
    trained = page.with_name("report.html").is_file()  # a probe trains nothing
    assert ('<a href="report.html">' in page.read_text()) is trained
    (model,) = (line.split()[-1] for line in out.splitlines() if line.startswith("model"))
    assert Path(model).is_file()


def test_a_plan_that_is_asked_for_is_taken(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "--plan", "few", "--steps", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["plan"], told["reason"], told["images"]) == ("few", None, 12)
    page = Path(told["run"]) / "transfer.html"
    assert '<a href="report.html">the run\'s report</a>' in page.read_text()
    assert page.with_name("report.html").is_file()
    assert told["what"] == "from logistic on layer3 (λ=0.062); nothing moves up to layer2"
    assert [place["place"] for place in told["places"]] == ["layer1", "layer2", "layer3"]


def test_the_table_of_layers_and_classifiers(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    more = ["--table", "--splits", "2", "--per-class", "3", "--classifiers", "ridge, nearest mean", "--csv", str(table)]
    assert main([*asked, *more, "--views", "flip", "--unit"]) == 0
    out = capsys.readouterr().out
    assert "12 images; 2 splits of 3 images of each class" in out
    assert "ridge" in out
    assert "±" in out
    assert len(table.read_text().splitlines()) == 1 + 3 * 2
    assert (tmp_path / "runs" / "probes-greys" / "report.html").is_file()


def test_all_plans_beside_each_other(asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*asked, "--compare", "--sizes", "4, 2, 50", "--seeds", "1", "--steps", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"sizes left out, for which a class has too few images: 50; '\w+' has \d training images", err)
    told = json.loads(out)
    assert [(t["per_class"], t["plan"]) for t in told["trials"]] == [
        (size, plan) for size in (2, 4) for plan in ("probe", "few", "more", "scratch")
    ]
    assert len(told["points"]) == 2 * 5
    folder = tmp_path / "runs" / "transfer-greys"
    assert "Where does each plan win?" in (folder / "report.html").read_text()
    assert (folder / "few-2-0" / "log.jsonl").is_file()


@pytest.mark.parametrize(
    ("more", "code", "line"),
    [
        (["--plan", "fwe"], 2, "fwe"),
        (["--compare", "--plan", "few"], 2, "--compare tries all plans; leave out --plan and --table"),
        (["--sizes", "ten"], 2, "--sizes ten: expected whole numbers from 1 on with commas between, e.g. 10,30,100"),
        (["--sizes", "10,0"], 2, "--sizes 10,0: expected whole numbers from 1 on with commas between"),
        (["--layers", "layer9"], 2, "unknown layer of resnet20 'layer9'; did you mean"),
        (["--table", "--classifiers", "swm"], 2, "unknown classifier 'swm'; did you mean 'svm'?"),
        (["--compare", "--sizes", "50"], 1, "give --sizes of at most that"),
        (["--views", "11"], 2, "unknown views '11'"),
    ],
)
def test_bad_input_is_one_line(
    more: list[str], code: int, line: str, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, *more]) == code
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith("striate transfer: error: ")
    assert line in err


@pytest.mark.parametrize("more", [[], ["--plan", "probe"], ["--table"]])
def test_a_taken_name_is_refused_before_any_work(
    more: list[str], asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.rmtree(tmp_path / "greys")
    assert main([*asked, *more, "--name", "mine"]) == 1
    assert f"{tmp_path / 'runs' / 'mine'} exists; choose another --name" in capsys.readouterr().err


def test_a_table_whose_page_cannot_be_written_is_told_and_takes_no_name(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise StriateError("cannot write") from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    command = [*asked, "--table", "--splits", "1", "--classifiers", "nearest mean", "--name", "mine"]
    with monkeypatch.context() as patch:
        patch.setattr(page, "write_bytes", full)
        assert main(command) == 1
    told = capsys.readouterr()
    assert "best: nearest mean on" in told.out
    assert f"cannot make a page in {tmp_path / 'runs'}: the disk is full; free some space and run the comm" in told.err
    assert not list((tmp_path / "runs").iterdir())
    assert main(command) == 0, "the same command goes on"


def test_a_comparison_that_is_refused_takes_no_name(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*asked, "--compare", "--sizes", "5000", "--name", "mine"]) == 1
    assert "give --sizes of at most that" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "mine").exists()


def test_a_comparison_that_was_stopped_goes_on_by_the_same_command(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, told = transfer_print.trial_words, []

    def stop(trial: Trial) -> str:
        told.append(trial)
        if len(told) == 2:
            raise KeyboardInterrupt
        return words(trial)

    command = [*asked, "--compare", "--sizes", "2", "--seeds", "1", "--steps", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(transfer_print, "trial_words", stop)
        assert main(command) == 130
    folder = tmp_path / "runs" / "transfer-greys"
    assert f"the trials that ended are kept in {folder}; the same command goes on" in capsys.readouterr().err
    assert main(command) == 0
    said = capsys.readouterr()
    assert f"{folder} has 2 trials already, which are not done again" in said.err
    assert f"report  {folder / 'report.html'}" in said.out
    assert main(command) == 0  # that one is over: the next is another
    assert (tmp_path / "runs" / "transfer-greys-2" / "report.html").is_file()
