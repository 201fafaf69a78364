"""`striate check`: lines, JSON, exit codes, files, refusals."""

import json
from pathlib import Path

import pytest

from striate.cli import main

FAST = ["--size", "8", "--threads", "1", "-j", "1", "--seconds", "20"]


def test_a_line_for_each_check_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "two_layer", "digits", *FAST, "--skip", "overfit,rates"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "two_layer on digits: 3,760 parameters, 1×8×8, 10 classes"
    names = [line.split()[1] for line in out[1:] if not line.startswith(" ")]
    assert names == ["inputs", "labels", "activations", "loss", "decay", "modes", "gradients"]


def test_a_failed_check_is_exit_code_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    sick = ["check", "mlp", "digits", *FAST, "--set", "hidden=[80,80,80,80,80,80,80,80]", "--init", "gaussian"]
    assert main([*sick, "--activation", "tanh", "--only", "activations"]) == 1
    out = capsys.readouterr().out
    assert "failed   activations  dying from features.act2 on" in out
    assert "→ weights are too small for this depth: --init he" in out
    assert main([*sick[:-1], "xavier", "--activation", "tanh", "--only", "activations"]) == 0


def test_json_and_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page, svg = tmp_path / "check.html", tmp_path / "layers.svg"
    args = ["check", "mlp", *FAST, "--only", "activations,inputs", "--json", "--html", str(page), "--plot", str(svg)]
    assert main(args) == 0
    told = json.loads(capsys.readouterr().out)
    assert [found["name"] for found in told["findings"]] == ["inputs", "activations"]
    layer = told["findings"][1]["figures"]["layers"][0]
    assert (layer["name"], layer["health"], len(layer["counts"])) == ("features.relu1", "fine", 24)
    assert "<svg" in page.read_text()
    assert svg.read_text().startswith("<svg xmlns=")


def test_a_run_is_checked_with_its_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    train = ["train", "digits", "-m", "two_layer", "--size", "8", "--epochs", "1", "--output", str(tmp_path)]
    assert main([*train, "--name", "a", "--precision", "fp32", "--no-channels-last", "--threads", "1"]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "a"), "digits", *FAST, "--only", "loss,modes"]) == 0
    assert "trained weights" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "a"), "digits", "--only", "loss", "--init", "he"]) == 1
    assert "leave out --init" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said", "code"),
    [
        (["two_layer", "digits", "--only", "lost"], "unknown check 'lost'; did you mean 'loss'?", 2),
        (["two_layer", "digits", "--svg", "a.svg", "--only", "loss"], "--plot draws the activations", 2),
        (["two_layre", "digits"], "unknown net 'two_layre'; did you mean 'two_layer'?", 2),
        (["two_layer", "digits", "--init", "hee"], "unknown --init 'hee'; did you mean 'he'?", 2),
        (["resnet20", "digits", "--activation", "tanhh"], "unknown activation 'tanhh'; did you mean 'tanh'?", 2),
    ],
)
def test_refusals(args: list[str], said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *args]) == code
    err = capsys.readouterr().err
    assert err.startswith("striate check: error: ")
    assert said in err
    assert err.count("\n") == 1
