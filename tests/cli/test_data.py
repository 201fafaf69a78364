"""`striate data info` and `striate data check`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images of each of two classes, 12×8 to 12×17 px, with two files that are none."""
    for offset, name in enumerate(("ants", "bees")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8 + number, 12, 3), 10 * number + offset, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "photos" / "ants" / "empty.jpg").touch()
    whole = (tmp_path / "photos" / "bees" / "9.png").read_bytes()
    (tmp_path / "photos" / "bees" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "photos"


def test_info_counts_classes_and_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "digits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "train", "val", "test"]
    assert lines[11].split()[0] == "total"
    assert sum(int(cell.replace(",", "")) for cell in lines[11].split()[1:]) == 1797
    assert lines[-1] == "10 classes; 1,797 images measured: all 8×8 px"


def test_info_of_a_folder(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(photos), "--json", "--test-fraction", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == ["ants", "bees"]
    assert set(told["parts"]) == {"train", "val"}
    assert told["sizes"] == {
        "measured": 20,
        "unreadable": 2,
        "smallest": [8, 12],
        "median": [13, 12],
        "largest": [17, 12],
    }
    assert main(["data", "info", str(photos)]) == 0
    assert "12×8 to 12×17 px, half of them up to 12×13, 2 unreadable" in capsys.readouterr().out


def test_check_names_every_bad_file_with_the_reason(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(photos)]) == 0
    empty, cut, total = sorted(capsys.readouterr().out.splitlines())
    assert empty == f"{photos}/ants/empty.jpg: is empty"
    assert cut == f"{photos}/bees/cut.png: is truncated"
    assert total == f"{photos}: 20 images can be used, 2 files cannot"


def test_check_strict_fails_after_the_same_list(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(photos), "--strict", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 20
    assert [problem["reason"] for problem in told["problems"]] == ["is empty", "is truncated"]
    (photos / "ants" / "empty.jpg").unlink()
    (photos / "bees" / "cut.png").unlink()
    assert main(["data", "check", str(photos), "--strict"]) == 0


def test_check_tells_copies_in_two_classes_beside_what_cannot_be_used(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bees" / "copy.png").write_bytes((photos / "ants" / "3.png").read_bytes())
    assert main(["data", "check", str(photos)]) == 0
    pair = f"{photos}/ants/3.png in 'ants' is {photos}/bees/copy.png in 'bees'"
    told = f"1 file is in two classes, of which one must be wrong: {pair}"
    assert told in capsys.readouterr().out.splitlines()
    assert main(["data", "check", str(photos), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert told in found["notes"]
    assert not [note for note in found["notes"] if "empty" in note]  # those are the problems


def test_data_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "digit"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("striate data check: error: ")
    assert err.endswith("unknown data set 'digit'; did you mean 'digits'?\n")
