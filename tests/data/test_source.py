"""Folders and zips: the same names, the same bytes, from many threads."""

import copy
import errno
import io
import os
import pickle
import socket
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from striate.data.badimage import BadImage
from striate.data.source import FolderSource, ZipSource, read_file
from striate.errors import StriateError, exhausted

FILES = {
    "cats/1.bin": bytes(range(256)) * 40,
    "cats/naïve ✓.bin": b"",
    "dogs/deep/er/2.bin": np.random.default_rng(0).bytes(5000),
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "empty").mkdir()
    return root


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as out:
        for i, (name, data) in enumerate(FILES.items()):
            out.writestr(name, data, compress_type=zipfile.ZIP_STORED if i % 2 else zipfile.ZIP_DEFLATED)
        out.mkdir("empty")
    return path


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_listing_and_reading(kind, request):
    where = request.getfixturevalue(kind)
    source = FolderSource(where) if kind == "folder" else ZipSource(where)
    assert source.listing() == (sorted(FILES), ["cats", "dogs", "dogs/deep", "dogs/deep/er", "empty"])
    for name, data in FILES.items():
        assert source.read(name) == data
        assert source.where(name) == f"{where}/{name}"


def test_a_zip_is_read_by_many_threads_at_once(archive):
    source, wrong = ZipSource(archive), []

    def work():
        for _ in range(200):
            for name, data in FILES.items():
                if source.read(name) != data:
                    wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_zip_is_closed_when_it_is_no_longer_used(archive):
    source = ZipSource(archive)
    descriptor = source._descriptor
    os.fstat(descriptor)
    del source
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_without_pread_a_lock_does(archive, monkeypatch):
    monkeypatch.delattr(os, "pread")
    assert ZipSource(archive).read("cats/1.bin") == FILES["cats/1.bin"]


def test_missing_and_unreadable_files(folder, archive):
    with pytest.raises(BadImage, match=r"set/none\.png does not exist"):
        FolderSource(folder).read("none.png")
    with pytest.raises(BadImage, match=r"set/cats is a folder, not an image"):
        FolderSource(folder).read("cats")
    with pytest.raises(BadImage, match=r"set\.zip/none\.png is not in the zip"):
        ZipSource(archive).read("none.png")


def test_links_are_followed_but_not_round_in_circles(folder):
    (folder / "cats" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "also dogs").symlink_to(folder / "dogs", target_is_directory=True)
    assert FolderSource(folder).listing()[0] == sorted([*FILES, "also dogs/deep/er/2.bin"])


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_the_head_of_a_file(kind, request):
    where = request.getfixturevalue(kind)
    source = FolderSource(where) if kind == "folder" else ZipSource(where)
    assert source.head("cats/1.bin") == FILES["cats/1.bin"][:4096]


def test_damage_inside_a_zip_is_found(archive):
    with zipfile.ZipFile(archive) as held:
        member = held.getinfo("cats/naïve ✓.bin")
        first = held.getinfo("cats/1.bin")
    data = bytearray(archive.read_bytes())
    data[first.header_offset + 30 + len("cats/1.bin") + 5] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(BadImage, match=r"cats/1\.bin is damaged inside the zip"):
        ZipSource(archive).read("cats/1.bin")
    data[member.header_offset] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(BadImage, match="is damaged inside the zip \\(no file begins where the zip's list says\\)"):
        ZipSource(archive).read(member.filename)


def test_a_member_that_unpacks_to_more_than_it_says_is_refused_without_unpacking_it(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a/zeros.png", bytes(1 << 24))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # uncompressed size in the list of files
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"is damaged inside the zip \(its checksum is wrong\)"):
        ZipSource(path).read("a/zeros.png")
    data[entry + 24 : entry + 28] = struct.pack("<I", (1 << 32) - 2)
    path.write_bytes(data)
    with pytest.raises(BadImage, match="is larger than 1 GiB, more than an image within the pixel limit needs"):
        ZipSource(path).read("a/zeros.png")


def test_encrypted_and_oddly_packed_members(tmp_path):
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.png", b"x" * 100, compress_type=zipfile.ZIP_LZMA)
        out.writestr("b.png", b"secret")
    with pytest.raises(BadImage, match=r"a\.png is packed by method 14, which is not read here; unpack the zip"):
        ZipSource(path).read("a.png")
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 8] |= 1  # general purpose bit 0: encrypted
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"b\.png is encrypted; unpack the zip with its password"):
        ZipSource(path).read("b.png")


def test_what_is_no_zip(tmp_path):
    path = tmp_path / "cut.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr("a.png", b"x" * 1000)
    path.write_bytes(buffer.getvalue()[:500])
    with pytest.raises(StriateError, match=r"cut\.zip is not a whole zip file \(.*\); copy or download it again"):
        ZipSource(path)
    with pytest.raises(StriateError, match=r"cannot read .*none\.zip: No such file"):
        ZipSource(tmp_path / "none.zip")


def test_a_file_too_large_to_be_an_image_is_not_read_whole(folder):
    with (folder / "huge.tif").open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse: takes no room
    with pytest.raises(BadImage, match=r"huge\.tif is larger than 1 GiB"):
        FolderSource(folder).read("huge.tif")


@pytest.mark.parametrize("ask", ["read", "head"])
def test_what_is_no_file_is_named_and_never_waited_for(folder, ask, monkeypatch):
    """A pipe that nobody writes to would be waited for without an end; a device gives bytes without an end."""
    os.mkfifo(folder / "cats" / "pipe.png")
    (folder / "cats" / "zeros.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(folder)  # a socket's path may be 107 bytes long
        server.bind("cats/talk.png")
        for name, what in (("pipe", "a pipe"), ("zeros", "a device"), ("talk", "a socket")):
            with pytest.raises(BadImage) as caught:
                getattr(FolderSource(folder), ask)(f"cats/{name}.png")
            assert str(caught.value) == f"{folder}/cats/{name}.png is {what}, not an image"


def test_what_the_machine_has_run_out_of_is_no_fault_of_a_file(folder, monkeypatch):
    """Left out as unreadable, good images would be missed; a set would be another, from one run to the next."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    path = folder / "cats" / "1.bin"
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as full:
            read_file(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(full.value, StriateError)
    assert exhausted(full.value).startswith("no more files can be opened (ulimit -n, or the system's limit); end")

    def lacking(*_):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("striate.data.source.os.open", lacking)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        read_file(path)


def test_a_file_that_states_no_size_is_read_up_to_the_limit(folder, monkeypatch):
    assert read_file(Path("/proc/self/status")).startswith(b"Name:")  # its size is stated as 0
    monkeypatch.setattr("striate.data.source.MAX_NBYTES", 100)
    with pytest.raises(BadImage, match="/proc/self/status is larger than"):
        read_file(Path("/proc/self/status"))


def test_a_name_that_no_file_can_have(folder):
    with pytest.raises(BadImage, match=r"set/a\\x00b\.png has a name that no file can have \(embedded null byte\)"):
        FolderSource(folder).read("a\0b.png")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda source: pickle.loads(pickle.dumps(source))])
def test_sources_go_to_other_processes(folder, archive, copied):
    for source in (FolderSource(folder), ZipSource(archive)):
        there = copied(source)
        assert there.listing()[0] == source.listing()[0] == sorted(FILES)
        assert {name: there.read(name) for name in FILES} == FILES
