"""`striate convert`: a Caffe net and weights of torch.save become model files that `predict` takes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from striate.cli import main
from striate.nets import create_model
from striate.nets.caffe.messages import message_class
from striate.nets.weights import load_model

NET = """
name: "stripes"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.5 crop_size: 4 mean_value: 8 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture
def stripes(tmp_path: Path) -> Path:
    """A net that tells which half of a grey 4×4 image is brighter."""
    net = message_class("NetParameter")()
    layer = net.layer.add(name="ip")
    weight = np.ones((2, 16), np.float32)
    weight[0, 8:] = weight[1, :8] = -1
    for array in (weight / 100, np.zeros(2, np.float32)):
        layer.blobs.add(data=[array.tobytes()]).shape.dim.extend(array.shape)
    (tmp_path / "net.caffemodel").write_bytes(net.SerializeToString())
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "classes.txt").write_text("top\nbottom\n")
    pixels = np.zeros((4, 4), np.uint8)
    pixels[:2] = 200
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path


def test_caffe_to_prediction(stripes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(stripes / name) for name in ("net.prototxt", "net.caffemodel")]
    model = str(stripes / "net.safetensors")
    assert main(["convert", *files, "--classes", str(stripes / "classes.txt"), "--output", model]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("layer  type          output  weights")
    assert printed[1].split() == ["ip", "InnerProduct", "2", "2×16", "2", "-0.01", "0", "0.01", "0.0097", "matched"]
    assert printed[2].split("–")[-1].strip() == "left out: the net gives scores"
    assert printed[3] == f"{model}: caffe, 2 classes, 4×4 px"
    assert main(["predict", model, str(stripes / "image.png"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    score = 0.5 * (8 * (200 - 8) - 8 * (0 - 8)) / 100  # of each class, with opposite signs
    assert answer["top"][0]["class"] == "top"
    assert answer["top"][0]["probability"] == pytest.approx(1 / (1 + np.exp(-2 * score)), rel=1e-5)


def test_json_and_what_is_said_on_the_command_line_wins(stripes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(stripes / name) for name in ("net.prototxt", "net.caffemodel")]
    flags = ["--mean", "3", "--scale", "2", "--resize", "6x6", "--output", str(stripes / "out.safetensors"), "--json"]
    assert main(["convert", *files, *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"][0]["statistics"]["count"] == 34
    net, card = load_model(stripes / "out.safetensors")
    assert card.settings["scale"] == 2
    assert net.state_dict()["input.mean"].tolist() == [[[3.0]]]
    assert card.preprocess["resize"] == "squash"
    assert card.preprocess["resize_size"] == [6, 6]


def test_weights_of_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = create_model("lenet5", num_classes=10)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "lenet.pth")
    out = tmp_path / "lenet.safetensors"
    assert main(["convert", str(tmp_path / "lenet.pth"), "--model", "lenet5", "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "note: lenet.pth does not say how its images were prepared; ImageNet's mean and deviation are assumed",
        f"{out}: lenet5, 10 classes, 32×32 px",
    ]
    assert load_model(out)[1].classes[9] == "class 9"


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["lenet.pth"], 2, "weights do not say which net they belong to; give it: --model resnet50"),
        (["net.prototxt", "--image", "3x4"], 2, "--image 3x4: expected whole numbers such as 3x224x224"),
        (["net.prototxt", "--resize", "ax4"], 2, "--resize ax4: expected whole numbers such as 256x256"),
        (["net.prototxt", "--mean", "a,b"], 1, "--mean a,b: no such file, and no values such as 104,117,123"),
        (["net.prototxt", "-o", "no/x"], 1, "cannot write no/x: there is no such folder; make it first"),
        (["net.prototxt", "--classes", "nowhere"], 1, "cannot read nowhere: No such file or directory"),
    ],
)
def test_refused(
    stripes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], code: int,
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(stripes)
    assert main(["convert", *flags]) == code
    assert capsys.readouterr() == ("", f"striate convert: error: {message}\n")
