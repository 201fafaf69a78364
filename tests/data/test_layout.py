"""What folders mean: parts, classes, and everything that can be wrong with them."""

from pathlib import PurePosixPath

import pytest

from striate.data.layout import check_classes, read_layout
from striate.errors import StriateError


def layout(*files, folders=()):
    implied = {str(p) for f in files for p in PurePosixPath(f).parents} - {"."}
    reason = {True: None, False: "is not an image"}
    return read_layout("photos", files, implied | set(folders), lambda f: reason[f.endswith((".jpg", ".png"))])


def test_one_folder_per_class():
    found = layout("dogs/2.jpg", "cats/1.jpg", "cats/deep/er/3.png")
    assert found.parts == {"train": {"cats": ["cats/1.jpg", "cats/deep/er/3.png"], "dogs": ["dogs/2.jpg"]}}
    assert found.left_out == ()


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val", "VALID"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "Testing")])
def test_parts_and_their_names(train, val, test):
    found = layout(f"{train}/a/1.jpg", f"{train}/b/2.jpg", f"{val}/a/3.jpg", f"{test}/b/4.jpg")
    assert list(found.parts) == ["train", "val", "test"]
    assert found.parts["val"] == {"a": [f"{val}/a/3.jpg"]}
    assert found.parts["test"] == {"b": [f"{test}/b/4.jpg"]}


def test_a_class_may_be_called_train():
    found = layout("train/1.jpg", "car/2.jpg")
    assert found.parts == {"train": {"car": ["car/2.jpg"], "train": ["train/1.jpg"]}}


def test_a_class_called_train_may_have_subfolders():
    found = layout("train/1.jpg", "train/2.jpg", "train/steam/3.jpg", "car/2.jpg")
    assert {name: len(files) for name, files in found.parts["train"].items()} == {"car": 1, "train": 3}


@pytest.mark.parametrize("wrapper", ["photos", "a/b"])
def test_a_folder_that_only_wraps_is_stepped_into(wrapper):
    assert layout(f"{wrapper}/x/1.jpg", f"{wrapper}/y/2.jpg", "README.md").parts == {
        "train": {"x": [f"{wrapper}/x/1.jpg"], "y": [f"{wrapper}/y/2.jpg"]}
    }


def test_train_alone_is_a_part():
    assert list(layout("train/a/1.jpg", "train/b/2.jpg").parts) == ["train"]


def test_clutter_is_ignored():
    found = layout(
        "a/1.jpg", "b/2.jpg", ".DS_Store", "a/._1.jpg", "a/Thumbs.db", "__MACOSX/a/1.jpg", ".git/x.jpg",
        "desktop.ini", "a/@eaDir/1.jpg", folders=[".ipynb_checkpoints"],
    )  # fmt: skip
    assert found.parts == {"train": {"a": ["a/1.jpg"], "b": ["b/2.jpg"]}}
    assert found.left_out == ()


def test_what_is_left_out_is_said():
    found = layout("a/1.jpg", "a/notes.txt", "b/2.jpg", "cover.jpg", "README.md")
    assert found.left_out == (
        ("cover.jpg", "lies outside every class folder"),
        ("a/notes.txt", "is not an image"),
    )
    found = layout("train/a/1.jpg", "train/b/2.jpg", "labels/x.jpg", "train/loose.jpg", "z.png")
    assert set(found.left_out) == {
        ("labels", "is neither train, val nor test (1 image in it)"),
        ("train/loose.jpg", "lies outside every class folder"),
        ("z.png", "lies outside train, val and test"),
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "photos is empty; it should hold one folder of images per class"),
        ((".DS_Store",), "photos is empty"),
        (("a.txt",), "photos holds no image; it should hold one folder of images per class"),
        (
            ("1.jpg", "2.jpg", "3.jpg", "4.jpg"),
            r"photos: 4 images lie directly in it, with no class \(1\.jpg, 2\.jpg, 3\.jpg, …\); put each into a folder "
            "named after its class, or list them in a CSV of path,label",
        ),
        (("1.jpg", "docs/readme.txt"), "photos: 1 image lies directly in it, with no class"),
        (
            ("train/1.jpg", "test/2.jpg"),
            "photos/train holds images directly, with no class; put each into train/<its class>/, or list them",
        ),
        (("val/a/1.jpg", "test/a/2.jpg"), "photos has val/ and test/ but no train/ with class folders"),
        (("train/a/1.jpg", "val/a/2.jpg", "valid/a/3.jpg"), "photos has both val/ and valid/ for one part; keep one"),
    ],
)
def test_layouts_that_are_none(files, message):
    with pytest.raises(StriateError, match=message):
        layout(*files)


def classes(**parts):
    return check_classes("photos", {part: {name: ["x.jpg"] for name in names} for part, names in parts.items()})


def test_classes_are_sorted_by_name_as_image_folder_does():
    assert classes(train=["b", "a", "10", "9", "B2"]) == ("10", "9", "B2", "a", "b")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"train": ["cats"]},
            r"photos has one class only, 'cats' \(1 image\); telling classes apart needs at least two",
        ),
        ({"train": ["Cats", "cats"]}, "the classes 'Cats' and 'cats' differ only in case or in how accents are stored"),
        ({"train": ["caf\u00e9", "tea", "cafe\u0301"]}, "differ only in case or in how accents are stored"),
        ({"train": ["cats", "dogs"], "val": ["Cats"]}, "the classes 'Cats' and 'cats' differ only in case"),
        ({"train": ["a", "caf\udce9"]}, r"photos: the class 'caf\\xe9' is no text in UTF-8; rename its folder"),
        ({"train": ["a", "b"], "test": ["a", "c"]}, "class 'c' is in test but not in train, so nothing can be learnt"),
    ],
)
def test_classes_that_cannot_be_trained_on(parts, message):
    with pytest.raises(StriateError, match=message):
        classes(**parts)


def test_a_class_without_an_image():
    with pytest.raises(StriateError, match="photos: class 'b' has no image; put images into b, or delete it"):
        check_classes("photos", {"train": {"a": ["1.jpg"], "b": []}})
    with pytest.raises(StriateError, match="class 'b' has no image; put images into train/b"):
        check_classes("photos", {"train": {"a": ["1.jpg"], "b": []}, "val": {"a": ["2.jpg"]}})
    assert check_classes("photos", {"train": {"a": ["1"], "b": ["2"]}, "val": {"a": [], "c": []}}) == ("a", "b")
