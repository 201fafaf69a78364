"""Files that are in two parts, or in two classes: copies, links and hard links tell themselves by their bytes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate import data


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("ant", "bee"):
            for i in range(4):
                path = tmp_path / "photos" / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.mark.parametrize("how", ["copy", "link", "hard link"])
def test_what_is_tested_on_and_was_trained_on(parted: Path, how: str) -> None:
    assert data.open(parted, val_fraction=0).notes == ()
    a, b = parted / "train" / "ant" / "1.png", parted / "test" / "ant" / "again.png"
    {"copy": lambda: shutil.copy(a, b), "link": lambda: b.symlink_to(a), "hard link": lambda: b.hardlink_to(a)}[how]()
    found = data.open(parted, val_fraction=0)
    assert found.notes == (
        f"1 file is in two parts, so that what is measured there was seen before: {a} in train is {b} in test",
    )
    assert len(found.test) == 9  # told, and left where it is
    assert data.open(parted, val_fraction=0, check=False).notes == ()


def test_what_is_of_two_classes(parted: Path) -> None:
    for i in (3, 2):
        shutil.copy(parted / "train" / "ant" / f"{i}.png", parted / "train" / "bee" / f"x{i}.png")
    a, b = parted / "train" / "ant" / "2.png", parted / "train" / "bee" / "x2.png"
    assert data.open(parted, val_fraction=0).notes == (
        f"2 files are in two classes, of which one must be wrong: {a} in 'ant' is {b} in 'bee'",
    )


def test_one_file_under_two_hard_links_in_a_list(parted: Path) -> None:
    (parted / "again.png").hardlink_to(parted / "train" / "ant" / "0.png")
    lines = [f"train/{name}/{i}.png,{name}" for name in ("ant", "bee") for i in range(4)]
    (parted / "list.csv").write_text("\n".join(["path,label", *lines, "again.png,bee"]))
    notes = data.open(parted / "list.csv", val_fraction=0, test_fraction=0).notes
    assert [note.split(":")[0] for note in notes] == ["1 file is in two classes, of which one must be wrong"]


def test_copies_inside_a_class_and_a_part_do_no_harm(parted: Path) -> None:
    shutil.copy(parted / "train" / "ant" / "0.png", parted / "train" / "ant" / "copy.png")
    assert data.open(parted, val_fraction=0).notes == ()
