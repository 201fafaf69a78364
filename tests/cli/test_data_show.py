"""`striate data show`: the sheet, and one image rebuilt as a run showed it."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate.cli import main
from striate.data import Loader, Preprocess
from striate.nets.weights import read_card
from striate.train.noise import policy_of
from striate.train.resolve import open_data


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ants", "bees"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (30 + number, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_a_sheet_has_a_row_an_image_and_a_column_an_epoch(photos, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    arguments = ["data", "show", str(photos), "--policy", "strong", "--size", "24", "--rows", "3", "--columns", "4"]
    assert main([*arguments, "-o", str(sheet)]) == 0
    with Image.open(sheet) as picture:
        assert picture.size == (5 * 26 - 2, 3 * 26 - 2)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "policy strong: RandomResizedCrop, HorizontalFlip, RandAugment, RandomErasing"
    assert out[1].endswith("columns: as tested, then epochs 0 to 3")
    assert main([*arguments, "-o", str(sheet), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == [0, 1, 2, 3]


def test_one_image_of_a_run_is_what_the_net_was_shown(photos, tmp_path, capsys):
    run = striate.fit(
        photos, model="mlp", model_settings={"hidden": [4]}, size=20, policy="resnet", epochs=1, seed=7,
        threads=1, precision="fp32", output=str(tmp_path), name="run", verbose=False,
    )  # fmt: skip
    picture = tmp_path / "one.png"
    assert main(["data", "show", str(run.path), "--epoch", "3", "--sample", "5", "-o", str(picture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    samples = open_data(run.settings).train
    assert told["name"] == samples.name(5)
    preprocess = Preprocess.from_dict(dict(read_card(run.folder.model).preprocess))
    loader = Loader(
        samples, preprocess, batch_size=4, policy=policy_of(run.settings, preprocess), shuffle=True, seed=7, workers=1
    )
    for batch in loader.epoch(3):
        for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
            if index == 5:
                pixels = 255 * (image.numpy().transpose(1, 2, 0) * preprocess.std + preprocess.mean)
    with Image.open(picture) as shown:
        assert np.array_equal(np.asarray(shown), np.rint(pixels).clip(0, 255).astype(np.uint8))
    scale = told["geometry"][0][0]
    assert abs(scale) == pytest.approx(told["geometry"][1][1], rel=0.1)
    assert len(told["colour"]) == 3
    assert main(["data", "show", str(run.path), "--sample", "5", "-o", str(picture)]) == 0
    assert "geometry, output px → source px" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--sample", "99"], 1, "no sample 99: the part has"),
        (["--policy", "stong"], 2, "unknown --policy 'stong'; did you mean 'strong'?"),
        (["-o", "nowhere/x.png"], 1, "cannot write nowhere/x.png: there is no such folder; make it first"),
        (["-o", "x.html"], 2, "--output x.html is no name of a picture; give one that ends in .png"),
    ],
)
def test_what_cannot_be_shown_is_one_line(photos, tmp_path, capsys, extra, code, message):
    arguments = ["data", "show", str(photos), "--size", "8", "--rows", "1", "--columns", "1"]
    output = [] if "-o" in extra else ["-o", str(tmp_path / "x.png")]
    assert main([*arguments, *output, *extra]) == code
    assert message in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_picture(photos, tmp_path, capsys, monkeypatch):
    def full(image, file, *_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", str(photos), "--size", "8", "-o", str(sheet)]) == 1
    assert (
        f"cannot write {sheet}: the disk is full; free some space and run the command again" in capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
