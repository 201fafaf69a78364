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
    assert main(["evaluate", str(world / "run"), "--part", "tset"]) == 2
    assert "did you mean 'test'?" in capsys.readouterr().err
    assert main(["evaluate", str(world / "run"), "--device", "abacus"]) == 1
    assert "--device 'abacus' is not a device torch knows" in capsys.readouterr().err


def test_evaluate_averages_over_what_is_asked(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(world / "run")
    for args, views, passes in (
        (["--views", "flip"], 2, 24),
        (["--crops", "10", "--scales", "5"], 50, 12 * 40),  # at 8 px all five crops coincide, at 9 px two
        (["--scales", "8,12"], 2, 24),
    ):
        assert main(["evaluate", run, *args, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["views"], told["passes"], told["accuracy"]) == (views, passes, 1.0)
    assert main(["evaluate", run, "--scales", "4,8,12"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:5] == [
        "averaged over 1 crop, scales 4, 8, 12: 24 passes",
        "the net reads 8 px: scales 4 are left out",
    ]


def test_evaluate_an_ensemble_and_other_data(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, file = str(world / "run"), str(world / "run" / "best.safetensors")
    assert main(["evaluate", run, file, str(world / "photos"), "--part", "test"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"ensemble of 2: {file}, {file} on {world / 'photos'}, test part: 12 images in ")
    assert lines[3] == "averaged over single view: 24 passes"
    assert lines[4].endswith(" nats, of which 0.0000 is what the members disagree about")
    assert main(["evaluate", run, run, "--calibrate"]) == 0  # what they disagree about is theirs, not the average's
    again = capsys.readouterr().out.splitlines()[4]
    assert again == lines[4].replace(" nats,", " nats before the temperature,")


def test_evaluate_prints_the_table(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(world / "run")
    assert main(["evaluate", run, run, "--table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{world / 'photos'}, test part: 12 images"
    assert lines[1].split() == [
        "averaged",
        "over",
        "error",
        "difference,",
        "95",
        "%",
        "loss",
        "ECE",
        "passes",
        "seconds",
    ]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "single view", "flips", "10 crops", "50 views", "ensemble of 2, single view", "ensemble of 2, 50 views",
    ]  # fmt: skip
    assert lines[3].split()[1:7] == ["0.00%", "+0.00", "(+0.00", "…", "+0.00)", lines[3].split()[6]]
    assert main(["evaluate", run, "--table", "--views", "flip"]) == 0
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[2:]] == ["single view", "flips"]
    assert main(["evaluate", run, "--table", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["row"] for row in told["rows"]] == ["single view", "flips", "10 crops", "50 views"]
    assert told["rows"][0]["difference"] is None
    assert told["rows"][1]["difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_evaluate_calibrates_and_draws(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm, chart = tmp_path / "calm.safetensors", tmp_path / "reliability.svg"
    args = ["evaluate", str(world / "run"), "--save-temperature", str(calm), "--plot", str(chart)]
    assert main(args) == 0
    assert "; temperature 0." in capsys.readouterr().out.splitlines()[2]  # all are right: it may be surer
    assert chart.read_text(encoding="utf-8").startswith("<svg xmlns=")
    assert main(["predict", str(calm), f"{world}/photos/dark/00.png", "--json", "--crops", "10", "--scales", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["class"] == "dark"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--views", "flop"], 2, "unknown views 'flop'; did you mean 'flip'?"),
        (["--crops", "7"], 1, "crops is 7; give 1, 2 (a mirror image), 5 or 10"),
        (["--scales", "many"], 2, "--scales 'many': give how many, 1 to 5, or short sides in px: 224,256"),
        (["--scales", "2,4"], 1, "scales 2, 4 are all smaller than the 8 px that the net reads; give larger ones"),
        (
            ["--views", "10", "--crops", "5"],
            1,
            "views '10' say what crops and scales would say, too; give one or the other",
        ),
        (
            ["--table", "--crops", "10"],
            2,
            "--table has rows for the usual views; leave out --crops, --scales, --plot, ",
        ),
        (
            ["--samples", "3", "--save-temperature", "calm.safetensors"],
            2,
            "--samples with --save-temperature: a model tempers each draw by its own temperature, ",
        ),
        (
            ["elsewhere", "photos"],
            2,
            "elsewhere is no run, model file or published net; only the last argument may be ",
        ),
        (["--part", "val", "--calibrate"], 1, "a temperature fitted on the validation part cannot be judged on it; "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_evaluate_refuses_in_one_line(
    args: list[str], code: int, message: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(world / "run"), *args]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"striate evaluate: error: {message}")
    assert told.count("\n") == 1


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


def test_predict_tells_every_name_in_one_line(world: Path, tmp_path: Path, striate: Callable[..., Done]) -> None:
    shutil.copy(world / "photos" / "light" / "00.png", tmp_path / "two\nlines.png")
    (tmp_path / "bad\nimage.png").write_bytes(b"no image")
    done = striate("predict", str(world / "run"), ".", "no\nfile")
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [["two\\nlines.png", "light"]]
    refused = "is not an image (JPEG, PNG, WebP, BMP, TIFF, GIF or PNM)"
    assert sorted(done.stderr.splitlines()) == [f"bad\\nimage.png {refused}", "no file, folder or pattern no\\nfile"]


def test_predict_needs_images_and_one_stdin(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(world / "run")]) == 2
    assert capsys.readouterr().err.startswith("striate predict: error: missing argument")
    assert main(["predict", str(world / "run"), "-", "-"]) == 2
    assert "- reads the paths from stdin and can be given once" in capsys.readouterr().err
