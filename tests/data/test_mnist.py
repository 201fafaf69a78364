"""IDX files, read strictly."""

import gzip
import struct

import numpy as np
import pytest

from striate import data
from striate.data.classnames import FASHION
from striate.data.idx import read_idx
from striate.errors import StriateError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 4), dtype=np.uint8)
LABELS = (np.arange(30) % 10).astype(np.uint8)


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_set(folder, *, dotted=False, zipped=False, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 30), ("t10k", 20)):
        for kind, array in (("images-idx3", IMAGES[:count]), ("labels-idx1", labels[:count])):
            name = f"{part}-{kind}-ubyte".replace("-idx", ".idx" if dotted else "-idx")
            content = idx(array)
            (folder / (name + ".gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_all_spellings(tmp_path, dotted, zipped):
    found = data.open(write_set(tmp_path / "set", dotted=dotted, zipped=zipped), val_fraction=0)
    np.testing.assert_array_equal(found.train.images[..., 0], IMAGES)
    np.testing.assert_array_equal(found.test.images[..., 0], IMAGES[:20])
    np.testing.assert_array_equal(found.train.labels, LABELS)
    assert found.classes == tuple("0123456789")
    assert (found.name, found.mirror, found.val) == ("mnist", False, None)
    assert found.train.name(7) == "mnist/train/00007"


def test_gzip_is_told_by_content(tmp_path):
    """Some browsers unpack what they download and keep the name."""
    path = tmp_path / "x.gz"
    path.write_bytes(idx(LABELS))
    np.testing.assert_array_equal(read_idx(path, 1), LABELS)


def test_a_validation_part_is_cut_from_train(tmp_path):
    found = data.open(write_set(tmp_path / "set"), val_fraction=1 / 3)
    assert (len(found.train), len(found.val), len(found.test)) == (20, 10, 20)
    assert set(data.class_counts(found.val, found.classes).values()) == {1}


def test_fashion_is_told_by_its_folder(tmp_path):
    found = data.open(write_set(tmp_path / "FashionMNIST" / "raw"))
    assert (found.name, found.classes, found.mirror) == ("fashion-mnist", FASHION, True)


def test_a_word_further_up_the_path_tells_nothing(tmp_path):
    assert data.open(write_set(tmp_path / "fashion" / "digits")).name == "mnist"


def test_more_labels_than_names_are_numbers(tmp_path):
    found = data.open(write_set(tmp_path / "letters", labels=LABELS + 3))
    assert found.classes == tuple(str(i) for i in range(13))


@pytest.mark.parametrize("where", ["mnist", "MNIST/raw", "."])
def test_named_sets_are_found_under_the_data_directory(tmp_path, where):
    root = tmp_path / "mnist" if where == "." else tmp_path
    write_set(root / where)
    found = data.open("mnist", data_dir=root, download=False)
    assert (found.name, found.spec, len(found.test)) == ("mnist", "mnist", 20)


def test_a_set_that_is_nowhere_and_may_not_be_downloaded(tmp_path):
    message = r"mnist is not in .* and may not be downloaded; put train-images-idx3-ubyte\.gz and .* into .*/mnist"
    with pytest.raises(StriateError, match=message):
        data.open("mnist", data_dir=tmp_path, download=False)


def test_the_data_directory_comes_from_the_environment(tmp_path, monkeypatch):
    write_set(tmp_path / "mnist")
    monkeypatch.setenv("STRIATE_DATA_DIR", str(tmp_path))
    assert len(data.open("mnist", download=False).test) == 20
    monkeypatch.delenv("STRIATE_DATA_DIR")
    write_set(tmp_path / "striate" / "data" / "fashion-mnist")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.open("fashion-mnist", download=False).classes == FASHION


WHOLE = idx(IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            r"x begins with nothing, where an IDX file of bytes in 3 dimensions begins with 00 00 08 03; it is another",
        ),
        (idx(LABELS), r"x begins with 00 00 08 01, where an IDX file of bytes in 3 dimensions begins with 00 00 08 03"),
        (b"\0\0\x0d\x03" + WHOLE[4:], r"x begins with 00 00 0d 03"),
        (WHOLE[:9], r"x ends inside its header, after 9 bytes"),
        (WHOLE[:-1], r"x announces 30×5×4 = 600 bytes and holds only 599; get it again"),
        (WHOLE + b"!", r"x announces 30×5×4 = 600 bytes and holds more; get it again"),
        (b"\0\0\x08\x03" + b"\xff" * 12, r"x announces 4294967295×4294967295×4294967295 bytes, which no such set has"),
        (gzip.compress(WHOLE)[:-20], r"x is a damaged or truncated gzip file"),
        (gzip.compress(WHOLE)[:-8] + b"\0" * 8, r"x is a damaged or truncated gzip file"),
    ],
)
def test_files_that_are_not_what_they_should_be(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(StriateError, match=message):
        read_idx(tmp_path / "x", 3)


def test_sets_that_do_not_fit_together(tmp_path):
    folder = write_set(tmp_path / "a")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:7]))
    with pytest.raises(
        StriateError, match=r"train-images-idx3-ubyte has 30 images and train-labels-idx1-ubyte 7 labels"
    ):
        data.open(folder)
    folder = write_set(tmp_path / "b")
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES[:20, :4]))
    with pytest.raises(StriateError, match=r"b has images of 5×4 for training and 4×4 for testing; they do not belong"):
        data.open(folder)
    folder = write_set(tmp_path / "c")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(StriateError, match=r"c lacks t10k-labels-idx1-ubyte \(or \.gz\), of the four files of mnist"):
        data.open(folder)
    folder = write_set(tmp_path / "d")
    for kind, array in (("images-idx3", IMAGES[:0]), ("labels-idx1", LABELS[:0])):
        (folder / f"train-{kind}-ubyte").write_bytes(idx(array))
    with pytest.raises(StriateError, match=r"holds no image \(0×5×4\); get it again"):
        data.open(folder)
