"""`striate pack`, `striate data check` of a pack, training on one, and `striate doctor data`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli import main
from striate.cli.doctor_data import verdict
from striate.data.ceilings import Ceiling


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(24):
        where = tmp_path / "photos" / ("ant", "bee")[i % 2]
        where.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{i:02d}.jpg")
    return tmp_path / "photos"


def test_pack_check_and_train(photos, tmp_path, capsys):
    out = tmp_path / "a.arrow"
    assert main(["pack", str(photos), str(out)]) == 0
    said = capsys.readouterr()
    assert "a.arrow: 24 images as their files' bytes, " in said.out
    assert f"train on it: striate train {out}" in said.out
    assert main(["data", "check", str(out)]) == 0
    assert "every checksum is right" in capsys.readouterr().out
    train = ["--model", "mlp", "--set", "hidden=[8]", "--size", "8", "--epochs", "1", "--precision", "fp32"]
    train += ["--threads", "1", "--no-channels-last", "-b", "4", "--policy", "light"]
    for name, data in (("folder", photos), ("pack", out)):
        assert main(["train", str(data), *train, "--output", str(tmp_path / "runs"), "--name", name]) == 0
    models = [(tmp_path / "runs" / name / "best.safetensors").read_bytes() for name in ("folder", "pack")]
    tensors = [data[8 + int.from_bytes(data[:8], "little") :] for data in models]
    assert tensors[0] == tensors[1]  # the same images in the same parts, so the same weights
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "runs" / "pack"), str(photos), "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(tmp_path / "runs" / "pack"), str(out), "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert one["loss"] == other["loss"]


def test_a_damaged_pack_is_named_and_fails(photos, tmp_path, capsys):
    out = tmp_path / "a.arrow"
    main(["pack", str(photos), str(out), "--size", "12x12"])
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1
    out.write_bytes(data)
    capsys.readouterr()
    assert main(["data", "check", str(out), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["name"].startswith(f"{out}/")
    out.write_bytes(data[: len(data) // 2])
    assert main(["data", "check", str(out)]) == 1
    error = capsys.readouterr().err
    assert "a.arrow is truncated: 0 of 1 record batches are whole" in error
    assert error.count("\n") == 1


def test_pack_refuses_in_one_line(photos, tmp_path, capsys):
    (tmp_path / "a.arrow").write_bytes(b"")
    for arguments, message in (
        ([str(tmp_path / "a.arrow")], "exists; choose another name, or replace it with --overwrite"),
        ([str(tmp_path / "b.zip")], "a pack is called by .arrow"),
        ([str(tmp_path / "b.arrow"), "--size", "big"], "--size big: give the short side in px"),
    ):
        assert main(["pack", str(photos), *arguments]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.startswith("striate pack: error: ")
        assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "pack"])
def test_doctor_data_measures_every_stage(photos, tmp_path, capsys, kind):
    where = photos
    if kind == "pack":
        where = tmp_path / "a.arrow"
        main(["pack", str(photos), str(where), "--size", "16"])
        capsys.readouterr()
    given = ["doctor", "data", str(where), "-m", "lenet5", "--policy", "strong", "-b", "8", "--device", "cpu", "--json"]
    assert main(given) == 0
    found = json.loads(capsys.readouterr().out)
    stages = (
        ["read", "decode", "augment", "loader", "compute"]
        if kind == "folder"
        else ["read", "augment", "loader", "compute"]
    )
    assert list(found["images_per_second"]) == stages
    assert all(rate > 0 for rate in found["images_per_second"].values())
    assert "What to turn: " in found["verdict"]


def test_doctor_data_leaves_out_what_cannot_be_read(photos, tmp_path, capsys):
    broken = sorted(photos.rglob("*.*"))[0]
    broken.write_bytes(b"no image")
    nowhere = broken.with_name("nowhere.png")
    nowhere.symlink_to("gone.png")
    assert main(["doctor", "data", str(photos), "-b", "8", "--device", "cpu", "--size", "16"]) == 0
    told = capsys.readouterr()
    assert f"left out: {broken} is not an image" in told.err
    assert f"left out: {nowhere} does not exist" in told.err
    assert "disk" in told.out  # as the log of a run calls it
    for path in photos.rglob("*.*"):
        path.write_bytes(b"no image")
    assert main(["doctor", "data", str(photos), "--device", "cpu"]) == 1
    assert "images looked at can be read: nothing to measure" in capsys.readouterr().err


def test_the_verdict_names_the_slowest_stage_and_its_knob():
    rates = {"read": 5000.0, "decode": 300.0, "augment": 900.0, "loader": 250.0}
    said = verdict([Ceiling(stage, rate) for stage, rate in rates.items()])
    assert said.startswith("Loading makes 250 images/s; its slowest stage is decode. What to turn: -j")
    slow_disk = [Ceiling(stage, rate) for stage, rate in {**rates, "read": 9.0}.items()]
    assert verdict(slow_disk).endswith("; `striate pack DATA out.arrow` makes one file of them.")
    assert verdict(slow_disk, files=False).endswith("is disk. What to turn: the file on a local disk.")
    held_back = verdict([Ceiling(stage, rate) for stage, rate in {**rates, "compute": 800.0}.items()])
    assert "where the net would take 800" in held_back
    fine = verdict([Ceiling(stage, rate) for stage, rate in {**rates, "compute": 50.0}.items()])
    assert fine.startswith("The net is the limit: loading takes 20% of its step's time.")
