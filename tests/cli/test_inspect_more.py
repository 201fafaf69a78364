"""`striate inspect --suggest` and `--field`, through the real entry point."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli import main
from striate.nets import create_model
from striate.nets.weights import ModelCard, save_model


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture
def model(tmp_path: Path) -> str:
    net = create_model("lenet5", num_classes=3, in_chans=1)
    path = tmp_path / "lenet.safetensors"
    card = ModelCard(net="lenet5", classes=("a", "b", "c"), in_chans=1, input_size=(32, 32))
    save_model(path, net, card)
    return str(path)


def test_suggestions_of_a_net_by_name_know_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "inspect", "vgg11", "--by", "total", "--suggest")
    assert "vgg11: cheaper layers, most multiply-adds first" in out
    assert "load weights to know the error" in out
    assert "weights off by" not in out
    (found,) = json.loads(told(capsys, "inspect", "vgg11", "--suggest", "--json"))
    first = found["suggestions"][0]
    assert (first["rewrite"], first["error"]) == ("bottleneck", None)
    assert round(first["new_macs"] / first["macs"], 3) == round(3.25 / 9, 3)


def test_suggestions_of_a_file_state_the_error_of_its_weights(capsys: pytest.CaptureFixture[str], model: str) -> None:
    out = told(capsys, "inspect", model, "--suggest")
    assert "features.c3" in out
    assert "weights off by" in out
    assert "exact; larger images slide" in out


def test_where_nothing_would_be_saved_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "inspect", "mlp", "--suggest").endswith("mlp: no rewriter would save multiply-adds\n")


def test_a_field_is_measured_and_drawn(capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path) -> None:
    path = tmp_path / "field.png"
    out = told(capsys, "inspect", model, "--by", "total", "--field", "features.s2", str(path))
    assert "unit (7, 7) of features.s2: 6×6 px have any influence, the effective field is as large as" in out
    assert out.endswith(f"drawn to {path}\n")
    assert np.asarray(Image.open(path)).shape == (448, 448, 3)
    (found,) = json.loads(told(capsys, "inspect", model, "--json", "--field", "features.s2", str(path)))
    assert found["measured_field"]["support"] == [14, 14, 20, 20]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["lenet5", "--field", "features.s2", "f.xyz"], 1, "cannot draw to f.xyz: its ending names no kind of picture"),
        (["lenet5", "mlp", "--field", "features.s2", "f.png"], 2, "--field draws one net; give one"),
        (["lenet5", "--field", "features.s3", "f.png"], 2, "unknown layer 'features.s3'; did you mean"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], args: list[str], code: int, message: str
) -> None:
    assert main(["inspect", *args]) == code
    assert f"striate inspect: error: {message}" in capsys.readouterr().err


PROTOTXT = """
name: "small"
input: "data" input_dim: 1 input_dim: 1 input_dim: 12 input_dim: 12
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "c1" top: "ip" inner_product_param { num_output: 3 } }
"""


def test_a_caffe_net_by_its_prototxt(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "deploy.prototxt"
    path.write_text(PROTOTXT)
    (found,) = json.loads(told(capsys, "inspect", str(path), "--json"))
    assert (found["input"], found["total"]["params"]) == ([1, 1, 12, 12], 4 * 9 + 4 + 400 * 3 + 3)
    assert found["total"]["macs"] == 100 * 9 * 4 + 400 * 3


def test_a_run_folder_is_its_best_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    train = ["train", "digits", "--model", "mlp", "--epochs", "1", "--threads", "1", "--precision", "fp32"]
    assert main([*train, "--output", str(tmp_path), "--name", "run"]) == 0
    capsys.readouterr()
    (found,) = json.loads(told(capsys, "inspect", str(tmp_path / "run"), "--json"))
    (of_file,) = json.loads(told(capsys, "inspect", str(tmp_path / "run" / "best.safetensors"), "--json"))
    assert found == of_file


def test_a_folder_that_is_no_run_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["inspect", str(tmp_path)]) == 1
    assert "striate inspect: error: " in capsys.readouterr().err
