"""Folders, zips and lists through `striate.data.open`: what is read, what is left out, what is said.

Long, because it is a list of what people have in a folder, told to one function.
"""

import itertools
import os
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from striate import data
from striate.data.source import FolderSource
from striate.errors import StriateError


def write(path, seed=0, size=(9, 7)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    for c, name in enumerate(["cats", "dogs", "owls"]):
        for i in range(10):
            write(root / name / f"{i}.{'jpg' if i % 2 else 'png'}", seed=10 * c + i)
    return root


@pytest.fixture
def parted(tmp_path):
    root = tmp_path / "parted"
    seed = itertools.count()  # no image is in two parts or classes
    for part, count in (("train", 10), ("val", 3), ("test", 2)):
        for name in ("a", "b"):
            for i in range(count):
                write(root / part / name / f"{i}.png", seed=next(seed))
    return root


def zipped(folder, *, inside=""):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, f"{inside}{file.relative_to(folder)}")
    return path


def contents(dataset):
    return {
        part: {(samples.key(i), int(samples.labels[i])) for i in range(len(samples))}
        for part, samples in dataset.parts.items()
    }


def test_a_folder_of_classes(photos):
    found = data.open(photos)
    assert (found.name, found.spec, found.classes) == ("photos", str(photos), ("cats", "dogs", "owls"))
    assert [len(part) for part in (found.train, found.val, found.test)] == [22, 2, 6]
    assert data.class_counts(found.test, found.classes) == {"cats": 2, "dogs": 2, "owls": 2}
    everything = set.union(*contents(found).values())
    assert everything == {
        (f"{n}/{i}.{'jpg' if i % 2 else 'png'}", c) for c, n in enumerate(found.classes) for i in range(10)
    }
    assert (found.notes, found.problems) == (("val has no image of 'owls'",), ())  # two images for three classes
    assert found.mirror


def test_a_zip_gives_what_its_folder_gives(photos):
    folder, archive = data.open(photos), data.open(zipped(photos))
    assert contents(folder) == contents(archive)
    np.testing.assert_array_equal(folder.train.pixels(3, 3), archive.train.pixels(3, 3))
    wrapped = data.open(zipped(photos, inside="photos/"))
    assert wrapped.classes == folder.classes
    assert wrapped.train.name(0).startswith(str(photos.with_suffix(".zip")) + "/photos/cats/")


def test_the_split_does_not_depend_on_where_or_how_often(photos, tmp_path, monkeypatch):
    first = contents(data.open(photos))
    assert contents(data.open(photos)) == first
    shutil.copytree(photos, tmp_path / "elsewhere" / "other name")
    assert contents(data.open(tmp_path / "elsewhere" / "other name")) == first
    monkeypatch.chdir(photos.parent)
    assert contents(data.open("photos", check=False)) == first
    assert contents(data.open(photos, split_seed=1)) != first


def test_fractions(photos, parted):
    assert data.open(photos, val_fraction=0).val is None
    assert data.open(photos, test_fraction=0).test is None
    whole = data.open(photos, val_fraction=0, test_fraction=0)
    assert len(whole.train) == 30
    halves = data.open(photos, test_fraction=0.5, val_fraction=0.5)  # 15 of 30, then 7.5 of the 15 left, rounded
    assert [len(part) for part in (halves.train, halves.val, halves.test)] == [7, 8, 15]
    assert len(data.open(parted, test_fraction=0.5, val_fraction=0.5).train) == 20  # its own parts are kept
    with pytest.raises(StriateError, match=r"val_fraction is 1\.0; it is the share"):
        data.open(photos, val_fraction=1.0)
    with pytest.raises(StriateError, match=r"split_seed is -1; it is a whole number from 0 to 2\^64 - 1"):
        data.open(photos, split_seed=-1)


def test_parts_are_kept_and_a_missing_one_is_cut_from_train(parted):
    found = data.open(parted)
    assert [len(part) for part in (found.train, found.val, found.test)] == [20, 6, 4]
    assert contents(found)["test"] == {
        ("test/a/0.png", 0),
        ("test/a/1.png", 0),
        ("test/b/0.png", 1),
        ("test/b/1.png", 1),
    }
    shutil.rmtree(parted / "val")
    found = data.open(parted)
    assert [len(part) for part in (found.train, found.val, found.test)] == [18, 2, 4]
    shutil.rmtree(parted / "test")
    found = data.open(parted)
    assert [len(part) for part in (found.train, found.val, found.test)] == [14, 2, 4]


def test_train_and_val_only_has_no_test_part(parted):
    shutil.rmtree(parted / "test")
    found = data.open(parted)
    assert found.test is None
    assert len(found.val) == 6


def spoil(photos):
    (photos / "cats" / "0.png").write_bytes(b"")
    whole = (photos / "dogs" / "1.jpg").read_bytes()
    (photos / "dogs" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "owls" / "notes.txt").write_text("owls are birds")
    (photos / "cover.jpg").write_bytes(b"<html>")
    (photos / "owls" / ".hidden.jpg").write_bytes(b"")
    return [
        f"{photos}/cover.jpg: lies outside every class folder",
        f"{photos}/owls/notes.txt: is not an image (JPEG, PNG, WebP, BMP, TIFF, GIF or PNM)",
        f"{photos}/cats/0.png: is empty",
        f"{photos}/dogs/1.jpg: is truncated",
    ]


def test_bad_files_are_left_out_and_named_one_per_line(photos):
    lines = spoil(photos)
    found = data.open(photos)
    assert list(found.notes) == [*lines, "4 files skipped; 30 listed as images", "val has no image of 'dogs'"]
    assert [str(problem) for problem in found.problems] == lines
    held = set.union(*contents(found).values())
    assert len(held) == 28
    assert not {"cats/0.png", "dogs/1.jpg"} & {key for key, _ in held}


def test_bad_files_move_no_other_file_between_the_parts_but_those_that_replace_them(photos):
    before = contents(data.open(photos))
    spoil(photos)
    after = contents(data.open(photos))
    assert len(before["test"] ^ after["test"]) <= 4


def test_strict_lists_them_and_stops(photos):
    lines = spoil(photos)
    with pytest.raises(StriateError) as caught:
        data.open(photos, strict=True)
    first, *rest = str(caught.value).split("\n")
    assert first == f"{photos}: 4 files cannot be used, and --strict allows none:"
    assert rest == lines


def test_the_name_is_that_of_the_folder_or_file(photos, monkeypatch):
    dotted = photos.rename(photos.with_name("photos.2024"))
    assert data.open(dotted).name == "photos.2024"
    monkeypatch.chdir(dotted)
    assert data.open(".").name == "photos.2024"
    assert data.open(zipped(dotted)).name == "photos"


def test_strict_on_a_sound_folder(photos):
    assert len(data.open(photos, strict=True).train) == 22


def test_without_the_check_nothing_is_decoded(photos):
    spoil(photos)
    assert len(set.union(*contents(data.open(photos, check=False)).values())) == 30


def test_a_file_without_extension_is_known_by_its_bytes(photos):
    (photos / "cats" / "0.png").rename(photos / "cats" / "zero")
    assert ("cats/zero", 0) in set.union(*contents(data.open(photos)).values())


def test_a_class_whose_every_file_is_bad(photos):
    for file in (photos / "dogs").iterdir():
        file.write_bytes(b"")
    message = r"class 'dogs' has no image left in train, every file of it is bad \(.*dogs/0\.png: is empty\); mend"
    with pytest.raises(StriateError, match=message):
        data.open(photos)


def test_a_held_out_part_that_lacks_a_class_is_noted(parted):
    shutil.rmtree(parted / "val" / "b")
    assert data.open(parted).notes == ("val has no image of 'b'",)


def test_a_class_too_small_for_the_parts_that_are_cut_is_noted(photos):
    for file in sorted((photos / "owls").iterdir())[1:]:
        file.unlink()
    found = data.open(photos, val_fraction=0.2)
    assert found.notes == found.remarks == ("val has no image of 'owls'", "test has no image of 'owls'")
    assert data.open(photos, val_fraction=0, test_fraction=0).notes == ()


def test_progress_is_told(photos):
    seen = []
    data.open(photos, progress=lambda what, done, total: seen.append((what, done, total)))
    assert seen[-1] == ("checking", 30, 30)


@pytest.mark.parametrize(("name", "mirror"), [("turn-left", False), ("leftovers", True)])
def test_whether_a_mirror_keeps_the_class_is_judged_by_the_names(photos, name, mirror):
    (photos / "cats").rename(photos / name)
    assert data.open(photos).mirror is mirror


def test_nearly_nothing(tmp_path):
    """Two images in two classes: all of them are needed for training."""
    for name in ("a", "b"):
        write(tmp_path / "few" / name / "1.png")
    found = data.open(tmp_path / "few")
    assert (len(found.train), found.val, found.test) == (2, None, None)


# ------------------------------------------------------------------------------------------------------------- lists


def test_a_list(photos):
    lines = [f"photos/{n}/{i}.{'jpg' if i % 2 else 'png'},{n.upper()}" for n in ("cats", "dogs") for i in range(10)]
    listed = photos.parent / "list.csv"
    listed.write_text("\ufeffPath,Label\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
    found = data.open(listed)
    assert (found.name, found.classes) == ("list", ("CATS", "DOGS"))
    assert [len(part) for part in (found.train, found.val, found.test)] == [14, 2, 4]
    listed.write_text("\n".join(lines))
    assert contents(data.open(listed)) == contents(found)


def test_a_list_with_splits(photos):
    rows = [
        "path,label,split",
        "photos/cats/0.png,c,train",
        "photos/dogs/0.png,d,train",
        '"photos/cats/1.jpg",c,Validation',
    ]
    listed = photos.parent / "list.csv"
    listed.write_text("\n".join([*rows, f"{photos}/dogs/2.png,d,test"]))
    found = data.open(listed)
    assert contents(found) == {
        "train": {("photos/cats/0.png", 0), ("photos/dogs/0.png", 1)},
        "val": {("photos/cats/1.jpg", 0)},
        "test": {(f"{photos}/dogs/2.png", 1)},
    }
    assert found.notes == ("val has no image of 'd'", "test has no image of 'c'")


def test_listed_twice_or_missing(photos):
    rows = ["path,label", *(f"photos/{n}/{i}.png,{n}" for n in ("cats", "dogs") for i in (0, 2))]
    listed = photos.parent / "list.csv"
    listed.write_text("\n".join([*rows, "photos/cats/../cats/0.png,cats", "photos/none.png,cats"]))
    found = data.open(listed)
    assert list(found.notes) == [
        f"{photos.parent}/photos/cats/../cats/0.png: is listed again on line 6",
        f"{photos.parent}/photos/none.png: does not exist",
        "2 files skipped; 5 listed as images",
        "test has no image of 'dogs'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"list\.csv lists no image; each line is path,label"),
        ("path,label\n", r"list\.csv lists no image"),
        ("id,breed\n1,pug\n", r"list\.csv begins with 'id,breed'; it should begin with path,label or path,label,split"),
        ("path;label\na.jpg;b\n", r"list\.csv begins with 'path;label'; it should begin with path,label"),
        ("path,label\na.jpg\n", r"list\.csv, line 2: 1 columns where the first line has 2"),
        ("path,label\na.jpg,\n", r"list\.csv, line 2: the label is empty"),
        ("path,label\n,cat\n", r"list\.csv, line 2: the path is empty"),
        ("a.jpg,x\n\nb.jpg\n", r"list\.csv, line 3: 1 columns"),
        (
            "path,label,split\na.jpg,x,dev\n",
            r"list\.csv, line 2: split is 'dev'; it is one of train, training, val, valid, valid",
        ),
        ("a.jpg,x,train\nb.jpg,y,\n", r"list\.csv: some lines have a split and some have none; fill the column"),
        ("a.jpg,x,test\nb.jpg,y,test\n", r"list\.csv lists no image for train; nothing can be trained on"),
        ("a.jpg,x\nb.jpg,y\na.jpg,y\n", r"list\.csv: a\.jpg is 'x' on line 1 and 'y' on line 3; keep one"),
        ("a.jpg,x,train\n./a.jpg,x,val\n", r"list\.csv: \./a\.jpg is 'x' in train on line 1 and 'x' in val on line 2"),
        ('path,label\n"a.jpg,x\n', r"list\.csv, line 2: unexpected end of data"),
        ("a.jpg,x\nb.jpg,x\n", r"list\.csv has one class only, 'x' \(2 images\)"),
    ],
)
def test_lists_that_are_none(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(StriateError, match=message):
        data.open(tmp_path / "list.csv")


def test_a_list_that_is_not_utf8(tmp_path):
    (tmp_path / "list.csv").write_bytes("caf\u00e9.jpg,x".encode("latin-1"))
    with pytest.raises(StriateError, match=r"list\.csv is not UTF-8 text \(byte 3\); save it as UTF-8"):
        data.open(tmp_path / "list.csv")


# -------------------------------------------------------------------------------------------------- what is no data set


def test_what_is_not_there(photos, tmp_path, monkeypatch):
    with pytest.raises(StriateError, match=r"photoz does not exist; did you mean '.*photos'\?"):
        data.open(tmp_path / "photoz")
    with pytest.raises(
        StriateError,
        match=r"qqq/photos does not exist; give a folder, a zip, a pack \(\.arrow\), a CSV of path,label, or one",
    ):
        data.open(tmp_path / "qqq" / "photos")
    monkeypatch.chdir(tmp_path)
    message = r"there is no file or folder 'minst' here, and it is an unknown data set 'minst'; did you mean 'mnist'\?"
    with pytest.raises(StriateError, match=message):
        data.open("minst")


@pytest.mark.parametrize("spec", [None, 3, b"photos", ["photos"]])
def test_what_names_nothing(spec):
    with pytest.raises(
        StriateError, match="a data set is given by its name or path, such as 'digits' or 'photos/', got"
    ):
        data.open(spec)


def test_an_empty_name_is_not_this_folder(photos, monkeypatch):
    monkeypatch.chdir(photos)
    with pytest.raises(StriateError, match=r"no data set is named; give a folder, a zip, a pack \(\.arrow\), a CSV"):
        data.open("")


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(StriateError, match=r"cannot read x{100}: File name too long"):
        data.open("x" * 5000)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StriateError, match="loop: Too many levels of symbolic links"):
        data.open(tmp_path / "loop")


def test_the_home_folder_is_found_without_a_shell(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    assert len(data.open("~/photos").train) == len(data.open(photos).train)


@pytest.mark.parametrize("fraction", ["0.1", None, True])
def test_a_share_that_is_no_number(fraction):
    with pytest.raises(StriateError, match=f"val_fraction is {fraction!r}; it is the share of the images set aside"):
        data.open("digits", val_fraction=fraction)


@pytest.mark.parametrize("seed", ["0", None, 1.5, -1])
def test_a_split_seed_that_is_none(seed):
    with pytest.raises(StriateError, match=rf"split_seed is {seed!r}; it is a whole number from 0 to 2\^64 - 1"):
        data.open("digits", split_seed=seed)


def test_what_is_no_data_set(photos, tmp_path):
    with pytest.raises(
        StriateError, match=r"0\.png is one image; training takes a folder with one folder of images per"
    ):
        data.open(photos / "cats" / "0.png")
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(StriateError, match=r"x\.txt is not a data set: neither a folder, a zip, a CSV of path,label"):
        data.open(tmp_path / "x.txt")
    (tmp_path / "x.zip").write_text("hello")
    with pytest.raises(StriateError, match=r"x\.zip is not a whole zip file"):
        data.open(tmp_path / "x.zip")


def test_digits():
    """Counts per class as scikit-learn's documentation describes the set: 1,797 images, 10 classes, about 180 each."""
    digits = data.open("digits")
    assert digits.classes == tuple("0123456789")
    assert (len(digits.train), len(digits.val), len(digits.test)) == (1294, 144, 359)
    counts = [data.class_counts(part, digits.classes) for part in (digits.train, digits.val, digits.test)]
    assert [sum(part[c] for part in counts) for c in digits.classes] == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert digits.train.images.shape == (1294, 8, 8, 1)
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 255)
    assert not digits.mirror


def test_a_name_goes_before_a_folder_of_that_name(photos, tmp_path, monkeypatch):
    photos.rename(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert data.open("digits").classes == tuple("0123456789")
    assert data.open("./digits").classes == ("cats", "dogs", "owls")


def test_a_scan_does_not_wait_for_a_pipe(photos):
    os.mkfifo(photos / "cats" / "pipe.png")
    os.mkfifo(photos / "cats" / "pipe")
    found = data.open(photos)
    assert sorted(map(str, found.problems)) == [
        f"{photos}/cats/pipe.png: is a pipe, not an image",
        f"{photos}/cats/pipe: is a pipe, not an image",
    ]


@pytest.mark.parametrize("how", ["absolute", "link", "folder link", "dots"])
def test_one_file_under_two_names_in_a_list(photos, how):
    """Two classes for one image, or one image to train and to test on."""
    other = {
        "absolute": str(photos / "cats/2.png"),
        "link": "l.png",
        "folder link": "l/2.png",
        "dots": "x/../cats/2.png",
    }
    (photos / "l.png").symlink_to("cats/2.png")
    (photos / "l").symlink_to("cats", target_is_directory=True)
    (photos / "x").mkdir()
    listed = "".join(f"{name}/{i}.{'jpg' if i % 2 else 'png'},{name}\n" for name in ("cats", "dogs") for i in range(10))
    (photos / "list.csv").write_text(f"path,label\n{listed}{other[how]},dogs\n")
    with pytest.raises(StriateError, match=r"list\.csv: .* is 'cats' on line 4 and 'dogs' on line 22; keep one"):
        data.open(photos / "list.csv")
    (photos / "list.csv").write_text(f"path,label\n{listed}{other[how]},cats\n")
    assert [problem.reason for problem in data.open(photos / "list.csv").problems] == ["is listed again on line 22"]


def test_a_list_is_cut_where_lines_end_and_nowhere_else(photos):
    """Unicode knows more ends of lines than files do; in quotes even those are part of a name."""
    names = ["a\u2028b.png", "c\x0bd.png", "e\x85f.png", "g\nh.png"]
    for name in names:
        shutil.copy(photos / "cats/2.png", photos / name)
    listed = "".join(
        f"{name}/{i}.{'jpg' if i % 2 else 'png'},{name}\r\n" for name in ("cats", "dogs") for i in range(10)
    )
    listed += "".join(f'"{name}",cats\r\n' for name in names)
    (photos / "list.csv").write_bytes(f"path,label\r\n{listed}".encode("utf-8-sig"))
    found = data.open(photos / "list.csv")
    assert not found.problems
    assert set(names) <= {name for name, _ in set.union(*contents(found).values())}
    (photos / "list.csv").write_bytes((listed + "alone.png\r\n").encode())
    with pytest.raises(StriateError, match=r"list\.csv, line 26: 1 columns where the first line has 2"):
        data.open(photos / "list.csv")


def test_a_nul_in_a_list_is_a_bad_file(photos):
    listed = "".join(f"{name}/{i}.{'jpg' if i % 2 else 'png'},{name}\n" for name in ("cats", "dogs") for i in range(10))
    (photos / "list.csv").write_text(f"path,label\n{listed}a\0b.png,cats\n")
    (problem,) = data.open(photos / "list.csv").problems
    assert str(problem) == f"{photos}/a\\x00b.png: has a name that no file can have (embedded null byte)"


def test_no_name_breaks_the_line_it_is_told_in(photos):
    for name in (b"new\nline.png", b"latin\xe9.png", b"bell\x07.png"):
        with open(os.fsencode(photos / "cats") + b"/" + name, "wb") as file:  # noqa: PTH123  # no name that text could be
            file.write(b"")
    assert sorted(map(str, data.open(photos).problems)) == [
        f"{photos}/cats/bell\\x07.png: is empty",
        f"{photos}/cats/latin\\xe9.png: is empty",
        f"{photos}/cats/new\\nline.png: is empty",
    ]
    with pytest.raises(data.BadImage) as caught:
        FolderSource(photos).read("gone\nfar.png")
    assert str(caught.value) == f"{photos}/gone\\nfar.png does not exist"
