"""`striate evaluate` and `striate predict`, on a run trained for them."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate.cli import main

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/` with thirty dark and thirty light images, and `run/`, which can tell them apart."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = random.normal(level, 10, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:02d}.png")
    striate.fit(
        folder / "photos",
        model="two_layer",
        size=8,
        epochs=5,
        batch_size=8,
        lr=0.01,
        precision="fp32",
        output=str(folder),
        name="run",
        verbose=False,
    )
    return folder


def test_evaluate_prints_measures_by_class(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(world / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{world}/run/best.safetensors on {world}/photos, test part: 12 images in ")
    assert lines[1].startswith("accuracy 100.00%, loss 0.")
    assert lines[2].startswith("calibration: ECE ")
    assert [line.split() for line in lines[4:7]] == [
        ["class", "images", "recall", "precision"],
        ["dark", "6", "100.0%", "100.0%"],
        ["light", "6", "100.0%", "100.0%"],
    ]
    assert len(lines) == 7  # nothing is confused


def test_evaluate_other_data_as_json(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dark images called light: recall of light is 0.5, and both of `dark`'s measures follow by counting."""
    shutil.copytree(world / "photos", tmp_path / "wrong")
    for number in range(30):
        (tmp_path / "wrong" / "dark" / f"{number:02d}.png").rename(tmp_path / "wrong" / "light" / f"dark-{number}.png")
    for number in range(15):
        (tmp_path / "wrong" / "light" / f"dark-{number}.png").rename(tmp_path / "wrong" / "dark" / f"{number:02d}.png")
    args = ["evaluate", str(world / "run"), str(tmp_path / "wrong"), "--part", "train", "--json"]
    assert main(args) == 0
    told = json.loads(capsys.readouterr().out)
    (dark_right, dark_wrong), (light_wrong, light_right) = told["confusion"]
    assert dark_wrong == 0
    assert light_wrong > 0
    assert told["images"] == dark_right + light_wrong + light_right
    assert told["accuracy"] == pytest.approx((dark_right + light_right) / told["images"])
    dark, light = told["classes"]
    assert dark["recall"] == light["precision"] == 1
    assert dark["precision"] == pytest.approx(dark_right / (dark_right + light_wrong))
    assert light["recall"] == pytest.approx(light_right / (light_right + light_wrong))


def test_evaluate_says_what_is_not_there(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "nothing"]) == 1
    message = "no model file or run nothing, and no published weights of that name"
    assert capsys.readouterr().err == f"striate evaluate: error: {message}\n"
    assert main(["evaluate", str(world / "run"), "--part", "tset"]) == 1
    assert "did you mean 'test'?" in capsys.readouterr().err
    assert main(["evaluate", str(world / "run"), "--device", "abacus"]) == 1
    assert "--device 'abacus' is not a device torch knows" in capsys.readouterr().err


def test_predict_a_folder_as_a_table(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(world / "run"), str(world / "photos" / "dark")]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "class", "probability", "then"]
    assert [line.split()[0] for line in lines] == sorted(str(p) for p in (world / "photos" / "dark").iterdir())
    assert {line.split()[1] for line in lines} == {"dark"}


def test_predict_patterns_and_top_k_as_json(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(world / "run"), f"{world}/photos/*/00.png", "--json", "--top-k", "1"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(answer["image"]).parent.name for answer in told] == ["dark", "light"]
    assert [[top["class"] for top in answer["top"]] for answer in told] == [["dark"], ["light"]]
    assert main(["predict", str(world / "run"), f"{world}/photos/dark/00.png", "--json"]) == 0
    (answer,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert sum(top["probability"] for top in answer["top"]) == pytest.approx(1)


def test_predict_goes_on_after_bad_images_and_exits_1(
    world: Path, tmp_path: Path, striate: Callable[..., Done]
) -> None:
    """Through the real command: paths on stdin, one of them no image, one of them not there."""
    shutil.copy(world / "photos" / "light" / "00.png", tmp_path / "good one.png")
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    paths = "bad.jpg\nmissing.png\n\ngood one.png\n"
    done = striate("predict", str(world / "run" / "best.safetensors"), "-", "--json", stdin=paths)
    assert done.returncode == 1
    bad, good = map(json.loads, done.stdout.splitlines())
    assert (bad["image"], good["image"], good["top"][0]["class"]) == ("bad.jpg", "good one.png", "light")
    assert "is not an image" in bad["problem"]
    assert sorted(done.stderr.splitlines()) == [bad["problem"], "no file, folder or pattern missing.png"]
    table = striate("predict", str(world / "run"), "bad.jpg", "good one.png")
    assert table.returncode == 1
    assert len(table.stdout.splitlines()) == 2
    assert table.stderr == bad["problem"] + "\n"


def test_predict_needs_images_and_one_stdin(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(world / "run")]) == 2
    assert capsys.readouterr().err.startswith("striate predict: error: missing argument")
    assert main(["predict", str(world / "run"), "-", "-"]) == 2
    assert "- reads the paths from stdin and can be given once" in capsys.readouterr().err
