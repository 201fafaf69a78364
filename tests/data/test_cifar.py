"""CIFAR in all four forms, from folders and archives, and hostile pickles that are not run."""

import io
import os
import pickle
import pickletools
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

from striate import data
from striate.data.classnames import CIFAR10, CIFAR100
from striate.data.pickled import read_pickled
from striate.errors import StriateError

COUNT = 20  # images per file


def images_of(seed):
    return np.random.default_rng(seed).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)


def rows_of(images):
    """uint8[n, 3072]: red plane, green plane, blue plane."""
    return np.concatenate([images[..., c].reshape(len(images), -1) for c in range(3)], axis=1)


def labels_of(seed, classes):
    return (np.arange(COUNT) + seed) % classes


def binary(seed, name):
    rows, fine = rows_of(images_of(seed)), labels_of(seed, 10 if name == "cifar10" else 100)
    heads = [fine] if name == "cifar10" else [fine // 5, fine]
    return np.column_stack([*heads, rows]).astype(np.uint8).tobytes()


def python(seed, name, protocol=2):
    key = b"labels" if name == "cifar10" else b"fine_labels"
    labels = labels_of(seed, 10 if name == "cifar10" else 100).tolist()
    batch = {b"data": rows_of(images_of(seed)), key: labels, b"batch_label": b"one", b"filenames": [b"a.png"] * COUNT}
    return pickle.dumps(batch, protocol=protocol)


FILES = {
    ("cifar10", "binary"): [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"],
    ("cifar10", "python"): [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"],
    ("cifar100", "binary"): ["train.bin", "test.bin"],
    ("cifar100", "python"): ["train", "test"],
}


def members(name, version):
    write = binary if version == "binary" else python
    return {file: write(seed, name) for seed, file in enumerate(FILES[name, version])}


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def write_tar(path, files, inside="cifar/"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(inside + file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("packed", ["folder", "tar"])
@pytest.mark.parametrize(("name", "version"), FILES)
def test_all_forms(tmp_path, name, version, packed):
    files = members(name, version)
    place = write_folder(tmp_path / "x", files) if packed == "folder" else write_tar(tmp_path / "x.tar.gz", files)
    found = data.open(place, val_fraction=0)
    count = len(files) - 1
    assert (found.name, found.classes) == (name, CIFAR10 if name == "cifar10" else CIFAR100)
    np.testing.assert_array_equal(found.train.images, np.concatenate([images_of(seed) for seed in range(count)]))
    np.testing.assert_array_equal(found.test.images, images_of(count))
    classes = len(found.classes)
    np.testing.assert_array_equal(found.train.labels, np.concatenate([labels_of(s, classes) for s in range(count)]))
    np.testing.assert_array_equal(found.test.labels, labels_of(count, classes))
    assert found.mirror


def test_names_are_as_many_and_sorted_as_published():
    assert (len(CIFAR10), len(CIFAR100)) == (10, 100)
    assert list(CIFAR100) == sorted(CIFAR100)


@pytest.mark.parametrize("where", ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_found_under_the_data_directory(tmp_path, where):
    write_folder(tmp_path / where, members("cifar10", "binary"))
    assert len(data.open("cifar10", data_dir=tmp_path, download=False).test) == COUNT


@pytest.mark.parametrize("where", ["cifar-100-python.tar.gz", "cifar100/cifar-100-python.tar.gz"])
def test_archives_are_found_under_the_data_directory(tmp_path, where):
    write_tar(tmp_path / where, members("cifar100", "python"))
    assert len(data.open("cifar100", data_dir=tmp_path, download=False).test) == COUNT


def test_a_folder_of_images_under_the_name_is_found(tmp_path):
    for part in ("train", "test"):
        for label, name in enumerate(CIFAR10[:2]):
            (tmp_path / "cifar10" / part / name).mkdir(parents=True)
            for i in range(4):
                Image.fromarray(images_of(label)[i]).save(tmp_path / "cifar10" / part / name / f"{i}.png")
    found = data.open("cifar10", data_dir=tmp_path, download=False, val_fraction=0)
    assert (found.classes, len(found.train), len(found.test)) == (CIFAR10[:2], 8, 8)


def test_only_the_fine_labels_of_cifar100_count(tmp_path):
    found = data.open(write_folder(tmp_path / "x", members("cifar100", "binary")), val_fraction=0)
    assert found.train.labels.max() == COUNT - 1  # the coarse ones end at 3


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])  # the publisher's files are of protocol 2
def test_every_pickle_protocol_of_plain_arrays_is_read(protocol):
    batch = read_pickled(python(3, "cifar10", protocol), "x")
    np.testing.assert_array_equal(batch["data"], rows_of(images_of(3)))
    assert batch["labels"] == labels_of(3, 10).tolist()
    assert batch["filenames"] == ["a.png"] * COUNT


def test_column_major_arrays_are_read():
    rows = rows_of(images_of(0))
    np.testing.assert_array_equal(read_pickled(pickle.dumps({"data": np.asfortranarray(rows)}), "x")["data"], rows)


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"data": x}, lambda x: [x], lambda x: {x: 1}])
def test_a_hostile_pickle_runs_nothing(tmp_path, wrap, protocol):
    proof = tmp_path / "it ran"
    for evil in (
        Hostile(os.system, f"touch '{proof}'"),
        Hostile(eval, f"open({str(proof)!r}, 'w').close()"),
        Hostile(exec, f"open({str(proof)!r}, 'w').close()"),
        Hostile(subprocess.check_output, ["touch", str(proof)]),
        Hostile(open, str(proof), "w"),
        Hostile(getattr, dict, "get"),
    ):
        content = pickle.dumps(wrap(evil), protocol=protocol)
        with pytest.raises(
            StriateError, match=r"x asks to run [\w.]+, as no CIFAR file does; nothing was run, delete it"
        ):
            read_pickled(content, "x")
    assert not proof.exists()


def test_a_pickle_that_imports_by_name_alone_imports_nothing():
    with pytest.raises(StriateError, match=r"x asks to run antigravity\.fly"):
        read_pickled(b"cantigravity\nfly\n.", "x")
    assert "antigravity" not in sys.modules


def test_other_pickles_are_refused():
    for content, message in [
        (b"", "x is not a CIFAR file of the Python version"),
        (b"hello", "x is not a CIFAR file of the Python version"),
        (python(0, "cifar10")[:-100], "x is not a CIFAR file of the Python version"),
        (pickle.dumps([1]), "x holds a list, not the dictionary of a CIFAR file"),
        (pickle.dumps({"data": np.zeros(3)}), "x holds an array that is not one of plain bytes"),
        (pickle.dumps({"data": np.array([None])}), "x holds an array that is not one of plain bytes"),
        (b"\x80\x02K\x01Q.", "x asks to run a persistent reference"),
        (b"Pid\n.", "x asks to run a persistent reference"),
    ]:
        with pytest.raises(StriateError, match=message):
            read_pickled(content, "x")


def test_an_array_that_claims_more_than_it_holds_is_refused():
    content = pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, protocol=2)
    claims = content.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fK\x03\x86")
    assert claims != content
    pickletools.dis(claims, out=io.StringIO())
    with pytest.raises(StriateError, match="x holds an array that is not one of plain bytes"):
        read_pickled(claims, "x")


def spoilt(file, content):
    return {**members("cifar10", "binary"), file: content}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "data_batch_3.bin",
            b"x" * 3074,
            r"x/data_batch_3\.bin holds 3074 bytes, not a whole number of 3073-byte images",
        ),
        ("test_batch.bin", b"", r"x/test_batch\.bin holds no image; get it again"),
        ("data_batch_1.bin", b"\x0a" + bytes(3072), r"x/data_batch_1\.bin has label 10, where cifar10 has 0 to 9"),
    ],
)
def test_binary_files_that_are_damaged(tmp_path, file, content, message):
    with pytest.raises(StriateError, match=message):
        data.open(write_folder(tmp_path / "x", spoilt(file, content)))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"labels": [0]}, r"x/test_batch has no `data` of 3072 bytes per image"),
        ({"data": np.zeros((2, 9), np.uint8), "labels": [0, 1]}, r"x/test_batch has no `data` of 3072 bytes per image"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, r"x/test_batch has no `labels`, one number per image"),
        ({"data": np.zeros((2, 3072), np.uint8)}, r"x/test_batch has no `labels`, one number per image"),
        (
            {"data": np.zeros((1, 3072), np.uint8), "labels": [-1]},
            r"x/test_batch has label -1, where cifar10 has 0 to 9",
        ),
    ],
)
def test_python_files_that_are_damaged(tmp_path, batch, message):
    files = {**members("cifar10", "python"), "test_batch": pickle.dumps(batch)}
    with pytest.raises(StriateError, match=message):
        data.open(write_folder(tmp_path / "x", files))


def test_a_cut_archive(tmp_path):
    path = write_tar(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", members("cifar10", "binary"))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(
        StriateError, match=r"cifar-10-binary\.tar\.gz is a damaged or truncated archive .*delete it and get it again"
    ):
        data.open("cifar10", data_dir=tmp_path, download=False)


def test_a_path_that_climbs_out_of_an_archive_touches_no_disk(tmp_path):
    path = write_tar(tmp_path / "deep" / "x.tar.gz", members("cifar10", "binary"), inside="../../")
    assert len(data.open(path).test) == COUNT
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "x.tar.gz"]
