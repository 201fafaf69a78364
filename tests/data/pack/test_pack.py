"""Packs: what is in one, read by us and by plain Arrow; what becomes of a kill, a full disk, a flipped byte.

Long, because all three parts look at the same folder of images, packed in the same ways.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from striate.augment import HorizontalFlip, PadCrop, Policy
from striate.data import ArraySamples, Loader, Preprocess
from striate.data import open as open_data
from striate.data.dataset import Dataset
from striate.data.pack import reader, writer
from striate.data.pack.check import check_pack
from striate.data.pack.found import find_packs
from striate.data.pack.layout import SUM, checksum
from striate.data.pack.reader import Pack, whole_batches
from striate.data.pack.size import PackSize
from striate.data.pack.writer import write_pack
from striate.data.samples import DecodedSamples
from striate.errors import StriateError

PREPROCESS = Preprocess(channels=3, size=(16, 20), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two classes of JPEG and PNG files of odd sizes; one of them turned by its EXIF tag."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(60):
        where = root / ("ant", "bee")[i % 2]
        where.mkdir(exist_ok=True)
        height, width = rng.integers(1, 50, 2)
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        exif = Image.Exif()
        if i == 4:
            exif[0x0112] = 6
        image.save(where / f"{i:02d}.{'png' if i % 3 else 'jpg'}", exif=exif)
    return root


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches of a few images each."""
    monkeypatch.setattr(writer, "BATCH_NBYTES", 20_000)


def packed(folder, path, **settings) -> Path:
    write_pack(open_data(folder), path, **settings)
    return path


def parts(data: Dataset):
    return list(data.parts.values())


# ---------------------------------------------------------------------------------------------------- what is in it


def test_an_encoded_pack_gives_the_tensors_of_the_folder(folder, tmp_path):
    files, pack = open_data(folder), open_data(packed(folder, tmp_path / "a.arrow"))
    assert pack.classes == files.classes
    assert (pack.mirror, pack.name) == (files.mirror, files.name)
    policy = Policy((PadCrop(2), HorizontalFlip()))
    for one, other in zip(parts(files), parts(pack), strict=True):
        assert one.labels.tolist() == other.labels.tolist()
        assert [one.key(i) for i in range(len(one))] == [other.key(i) for i in range(len(other))]
        for noise in (None, policy):
            loaders = [Loader(s, PREPROCESS, batch_size=7, shuffle=True, seed=2, policy=noise) for s in (one, other)]
            for a, b in zip(*(loader.epoch(1) for loader in loaders), strict=True):
                assert torch.equal(a.images, b.images)
                assert torch.equal(a.indices, b.indices)
        for i in range(len(one)):  # what prediction makes of the same file
            expected = PREPROCESS.tensor(one.pixels(i, 3))
            assert torch.equal(PREPROCESS.tensor(other.pixels(i, 3)), expected)


def test_plain_arrow_reads_it(folder, tmp_path):
    path = packed(folder, tmp_path / "a.arrow")
    with pa.memory_map(str(path)) as mapping:
        table = pa.ipc.open_file(mapping).read_all()
    header = json.loads(table.schema.metadata[b"striate"])
    assert header["classes"] == ["ant", "bee"]
    assert len(table) == header["images"] == 60
    for row in table.to_pylist():
        assert row["image"] == (folder / row["key"]).read_bytes()
        assert zlib.crc32(row["image"]) == row["crc32"]
        assert header["classes"][row["label"]] == Path(row["key"]).parent.name
    assert sorted(set(table["part"].to_pylist())) == [0, 1, 2]


@pytest.mark.parametrize("size", ["12", "9x14"])
def test_raw_pixels_are_pillows_with_exif_applied(folder, tmp_path, size):
    files = open_data(folder)
    pack = open_data(packed(folder, tmp_path / "a.arrow", size=PackSize.parse(size), threads=2))
    for one, other in zip(parts(files), parts(pack), strict=True):
        for i in range(len(one)):
            upright, stored = one.pixels(i, 3), other.pixels(i, 3)
            height, width, _ = upright.shape
            if size == "9x14":
                assert stored.shape == (9, 14, 3)
                continue
            if min(height, width) <= 12:
                assert np.array_equal(stored, upright)
                continue
            expected = Image.fromarray(upright).resize((stored.shape[1], stored.shape[0]), Image.Resampling.BILINEAR)
            assert min(stored.shape[:2]) == 12
            assert np.array_equal(stored, np.asarray(expected))


def test_what_lies_in_memory_is_packed_as_it_is(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (50, 5, 7, 1), dtype=np.uint8)
    train = ArraySamples(images, np.arange(50) % 3)
    data = Dataset(
        name="toy", spec="toy", classes=("a", "b", "c"), train=train, val=None, test=train.subset([3, 4]), mirror=False
    )
    assert write_pack(data, tmp_path / "a.arrow").form == "raw"
    again = open_data(tmp_path / "a.arrow")
    assert again.val is None
    assert again.test is not None
    assert np.array_equal(np.stack([again.train.pixels(i, 1) for i in range(50)]), images)
    assert np.array_equal(again.test.pixels(1, 3), np.repeat(images[4], 3, axis=2))
    assert again.train.channels == 1


def test_pixels_are_views_that_no_loader_keeps(folder, tmp_path):
    exact = Preprocess(channels=3, size=(8, 8), resize_size=(12, 12), mean=(0.5,) * 3, std=(0.2,) * 3)
    data = open_data(packed(folder, tmp_path / "a.arrow", size=PackSize.parse("12x12")))
    pixels = data.train.pixels(0, 3)
    assert not pixels.flags.owndata
    assert not pixels.flags.writeable
    loader = Loader(data.train, exact, batch_size=5, policy=Policy((PadCrop(0),)))
    batches = list(loader.epoch(0))
    windows = Policy((PadCrop(0),)).windows(0, 0, np.arange(5), np.full((5, 2), 12, np.int32), (8, 8))
    for image, i, (top, left, _) in zip(batches[0].images, range(5), windows, strict=True):
        cut = data.train.pixels(i, 3)[top : top + 8, left : left + 8]
        expected = (cut / 255 - 0.5) / 0.2
        assert np.abs(image.numpy() - expected.transpose(2, 0, 1)).max() < 1e-5
    assert loader.kept_nbytes == 0


def test_several_packs_are_one_set(folder, tmp_path):
    one, two = packed(folder, tmp_path / "1.arrow"), packed(folder, tmp_path / "2.arrow")
    single = open_data(one).train
    both = open_data(f"{one},{two}")
    assert len(both.train) == 2 * len(single)
    for i in (0, len(single) - 1, len(single), 2 * len(single) - 1):
        assert np.array_equal(both.train.pixels(i, 3), single.pixels(i % len(single), 3))
    assert both.train.name(len(single)).startswith(str(two))
    assert np.array_equal(open_data(tmp_path).train.labels, both.train.labels)
    assert find_packs(str(tmp_path)) == [one, two]


def test_packs_that_do_not_belong_together(folder, tmp_path):
    one = packed(folder, tmp_path / "1.arrow")
    raw = packed(folder, tmp_path / "2.arrow", size=PackSize.parse("8"))
    other = tmp_path / "3.arrow"
    images = ArraySamples(np.zeros((4, 3, 3, 1), np.uint8), [0, 1, 0, 1])
    write_pack(
        Dataset(name="x", spec="x", classes=("ant", "cat"), train=images, val=None, test=None, mirror=True), other
    )
    with pytest.raises(StriateError, match=r"holds encoded files, .* raw pixels; pack them alike"):
        open_data(f"{one},{raw}")
    with pytest.raises(StriateError, match=r"other classes \(class 'bee' is in one only\)"):
        open_data(f"{one},{other}")
    (tmp_path / "link.arrow").hardlink_to(one)
    with pytest.raises(
        StriateError, match=r"link\.arrow is named twice, and each of its images would count twice; name"
    ):
        open_data(f"{one},{tmp_path / 'link.arrow'}")


def test_packs_are_found_whatever_they_are_called_and_however_many(folder, tmp_path, monkeypatch):
    """A list of them may be longer than a file's name may be, which asking for it as a file would trip over."""
    (tmp_path / "one").mkdir()
    loud = packed(folder, tmp_path / "one" / "LOUD.ARROW")
    assert find_packs(str(loud)) == find_packs(str(loud.parent)) == [loud]
    monkeypatch.chdir(tmp_path)
    many = [Path(f"{i}-{'x' * 100}.arrow") for i in range(50)]
    assert find_packs(",".join(map(str, many))) == many
    with pytest.raises(StriateError, match=r"cannot read 0-x*\.arrow: No such file or directory$"):
        open_data(",".join(map(str, many)))


def test_a_folder_of_packs_with_one_that_was_not_finished(folder, tmp_path):
    packed(folder, tmp_path / "1.arrow")
    (tmp_path / "2.arrow.part").write_bytes(b"")
    with pytest.raises(StriateError, match=r"2\.arrow\.part is a pack that was not finished; pack it to its end, or"):
        open_data(tmp_path)


def test_opening_touches_no_image(folder, tmp_path, monkeypatch):
    path = packed(folder, tmp_path / "a.arrow")
    monkeypatch.setattr(Pack, "image", lambda *_: pytest.fail("an image was asked for"))
    monkeypatch.setattr(Pack, "_images", lambda *_: pytest.fail("a batch's images were looked at"))
    assert len(open_data(path).train) > 20


def test_one_mapping_for_all_processes(folder, tmp_path):
    """A second process adds no private memory for what it reads: its pages are the file's, shared and clean."""
    path = packed(folder, tmp_path / "a.arrow", size=PackSize.parse("64x64"))
    private, shared = map(int, _python(MAPPED, path).stdout.split())
    assert private == 0
    assert shared > 60 * 64 * 64 * 3 // 2


MAPPED = """
import sys
from pathlib import Path
from striate.data.pack.reader import Pack
pack = Pack(Path(sys.argv[1]))
for i in range(len(pack)):
    int(pack.image(i).sum())
own = resident = 0  # bytes of the file's mapping that are dirty, and all that are in memory
inside = False
for line in Path("/proc/self/smaps").read_text().splitlines():
    first = line.split()[0]
    if "-" in first and not first.endswith(":"):
        inside = line.endswith(sys.argv[1])
    elif inside and first in ("Private_Dirty:", "Rss:"):
        own += (first != "Rss:") * int(line.split()[1]) * 1024
        resident += (first == "Rss:") * int(line.split()[1]) * 1024
print(own, resident)
"""


def _python(script, *arguments):
    """A process of its own that imports what this one does."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


# ---------------------------------------------------------------------------------------------------------- writing


def test_a_batch_is_as_large_as_images_of_all_classes_make_it(monkeypatch):
    """Icons come first, and photographs, of which as many would not fit in memory."""
    monkeypatch.setattr(writer, "BATCH_NBYTES", 100_000)
    monkeypatch.setattr(writer, "KEPT_NBYTES", 200_000)
    icons, photographs = [np.zeros((2, 2, 3), np.uint8)] * 300, [np.zeros((100, 100, 3), np.uint8)] * 300
    images = icons + photographs
    train = DecodedSamples(images, np.zeros(len(images)), list(map(str, range(len(images)))))
    data = Dataset(name="m", spec="m", classes=("a",), train=train, val=None, test=None, mirror=True)
    content = writer._Content(data, None)
    assert content.header.rows == 100_000 // 15_000  # of a mean of 12 and 30,000 bytes
    assert sum(len(data) for data, _, _ in content._looked_at.values()) == 32 * 12 + 6 * 30_000


def test_threads_change_no_byte(folder, tmp_path):
    one = packed(folder, tmp_path / "1.arrow", threads=1).read_bytes()
    assert packed(folder, tmp_path / "2.arrow", threads=4).read_bytes() == one


@pytest.mark.parametrize("cut", [0, 5, 700, 30_000, 30_001, 60_000, -1])
def test_going_on_gives_the_file_of_one_go(folder, tmp_path, cut):
    whole = packed(folder, tmp_path / "whole.arrow")
    data = whole.read_bytes()
    part = tmp_path / "a.arrow.part"
    part.write_bytes(data[:cut] + (b"" if cut == -1 else b"\1" * 100))
    done = write_pack(open_data(folder), tmp_path / "a.arrow")
    assert (tmp_path / "a.arrow").read_bytes() == data
    assert not part.exists()
    header, batches, _ = whole_batches(whole)
    assert header is not None
    assert len(batches) == header.batches > 3
    if cut == -1:
        assert done.resumed == 60
    if cut in (0, 5, 700):
        assert done.resumed == 0
    if cut in (30_000, 60_000):
        assert 0 < done.resumed < 60
        assert done.resumed % header.rows == 0


def test_the_part_of_another_packing_is_written_over(folder, tmp_path):
    raw = packed(folder, tmp_path / "raw.arrow", size=PackSize.parse("8")).read_bytes()
    (tmp_path / "a.arrow.part").write_bytes(raw[: len(raw) // 2])
    assert write_pack(open_data(folder), tmp_path / "a.arrow").resumed == 0
    assert check_pack(tmp_path / "a.arrow") == []


KILLED = """
import os, signal, sys
from striate.data import open as open_data
from striate.data.pack import writer
writer.BATCH_NBYTES = 20_000
seen = []
def progress(done, total):
    seen.append(done)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
writer.write_pack(open_data(sys.argv[1]), sys.argv[2], progress=progress)
"""


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {child.name for child in folder.iterdir()} if folder.is_dir() else set()


def test_kill_9_and_go_on(folder, tmp_path):
    """A process that is killed at its third batch leaves a part and nothing else; the next run goes on with it."""
    before = shared_memory()
    path = tmp_path / "a.arrow"
    assert _python(KILLED, folder, path).returncode == -signal.SIGKILL
    assert [child.name for child in tmp_path.iterdir()] == ["a.arrow.part"]
    assert shared_memory() <= before
    done = write_pack(open_data(folder), path)
    assert done.resumed > 0
    assert path.read_bytes() == packed(folder, tmp_path / "whole.arrow").read_bytes()


def test_a_full_disk_says_so_and_can_be_gone_on_with(folder, tmp_path, monkeypatch):
    written = writer._Sink.write

    def full(sink, data):
        if sink.tell() + len(data) > 30_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(sink, data)

    monkeypatch.setattr(writer._Sink, "write", full)
    with pytest.raises(
        StriateError, match=r"^cannot write .*a\.arrow\.part: the disk is full; free some space.*goes on"
    ):
        write_pack(open_data(folder), tmp_path / "a.arrow")
    assert [child.name for child in tmp_path.iterdir()] == ["a.arrow.part"]
    monkeypatch.undo()
    monkeypatch.setattr(writer, "BATCH_NBYTES", 20_000)
    assert write_pack(open_data(folder), tmp_path / "a.arrow").resumed > 0
    assert check_pack(tmp_path / "a.arrow") == []


def test_what_is_refused(folder, tmp_path):
    data, path = open_data(folder), packed(folder, tmp_path / "a.arrow")
    with pytest.raises(StriateError, match=r"a\.arrow exists; choose another name, or replace it with --overwrite"):
        write_pack(data, path)
    assert write_pack(data, path, overwrite=True).images == 60
    with pytest.raises(StriateError, match=r"a\.pack: a pack is called by \.arrow; try .*a\.arrow"):
        write_pack(data, tmp_path / "a.pack")
    with pytest.raises(StriateError, match=r"cannot write .*nowhere.*there is no such folder; make it first"):
        write_pack(data, tmp_path / "nowhere" / "a.arrow")
    for text in ("0", "x", "12x", "1x2x3", "-4"):
        with pytest.raises(StriateError, match=r"--size .*: give the short side in px"):
            PackSize.parse(text)


@pytest.mark.skipif(os.name == "nt", reason="needs flock")
def test_a_pack_that_another_process_finishes_meanwhile_is_not_written_over(folder, tmp_path, monkeypatch):
    """It has no lock any more, and its name was free when this one looked."""
    data, out = open_data(str(folder)), tmp_path / "a.arrow"
    finished = packed(folder, tmp_path / "other.arrow").read_bytes()
    whole = writer._Content

    def slow(*given):  # what is looked at before the first byte takes a while
        out.write_bytes(finished)
        return whole(*given)

    monkeypatch.setattr(writer, "_Content", slow)
    with pytest.raises(StriateError, match=r"a\.arrow exists; choose another name, or replace it with --overwrite"):
        write_pack(data, out)
    assert out.read_bytes() == finished
    assert not (tmp_path / "a.arrow.part").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs flock")
def test_a_part_that_gets_its_name_before_it_is_locked_is_let_go(tmp_path, monkeypatch):
    import fcntl

    part, lock = tmp_path / "a.arrow.part", fcntl.flock
    part.write_bytes(b"all of a pack")

    def late(file, how):
        if not (tmp_path / "a.arrow").exists():
            part.rename(tmp_path / "a.arrow")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with writer._locked(part) as file:
        file.truncate(0)
    assert (tmp_path / "a.arrow").read_bytes() == b"all of a pack"


@pytest.mark.skipif(os.name == "nt", reason="needs flock")
def test_two_packings_of_one_name(folder, tmp_path):
    with (
        writer._locked(tmp_path / "a.arrow.part"),
        pytest.raises(StriateError, match="is being written by another process"),
    ):
        write_pack(open_data(folder), tmp_path / "a.arrow")


# ----------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("form", ["encoded", "raw"])
def test_every_flipped_byte_of_an_image_is_found_and_named(folder, tmp_path, form):
    path = packed(folder, tmp_path / "a.arrow", size=PackSize.parse("8x8") if form == "raw" else None)
    whole = path.read_bytes()
    pack = Pack(path)
    i = 17
    name, image = pack.where(i), bytes(pack.image(i))
    del pack
    at = whole.index(image)
    path.write_bytes(whole[: at + 9] + bytes([whole[at + 9] ^ 4]) + whole[at + 10 :])
    (problem,) = check_pack(path)
    assert problem.name == name
    assert "image 17, in batch" in problem.reason


def readable(path: Path) -> tuple[object, ...]:
    """All that a pack can be asked for."""
    pack = Pack(path)
    rows = [(pack.key(i), pack.pixels(i).shape, pack.pixels(i).tobytes()) for i in range(len(pack))]
    return pack.header, pack.labels.tolist(), pack.parts.tolist(), rows


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 23])
def test_every_flipped_byte_is_found_or_changes_nothing_that_can_be_read(tmp_path, monkeypatch, every):
    """One bit of each byte of the file in turn (or of every so many): in its ends, heads, columns and padding."""
    monkeypatch.setattr(writer, "BATCH_NBYTES", 1_000)
    images = np.random.default_rng(2).integers(0, 256, (24, 5, 6, 3), dtype=np.uint8)
    samples = ArraySamples(images, np.arange(24) % 2)
    toy = Dataset(
        name="toy",
        spec="toy",
        classes=("ant", "bee"),
        train=samples,
        val=None,
        test=samples.subset([3, 4]),
        mirror=True,
    )
    write_pack(toy, tmp_path / "a.arrow")
    whole, expected = (tmp_path / "a.arrow").read_bytes(), readable(tmp_path / "a.arrow")
    flipped = tmp_path / "flipped.arrow"
    counts = {"found": 0, "refused": 0, "harmless": 0}
    for at in range(0, len(whole), every):
        flipped.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            problems = check_pack(flipped)
        except StriateError:  # one line: it cannot even be opened
            counts["refused"] += 1
            continue
        if problems:
            counts["found"] += 1
            continue
        same = readable(flipped) == expected  # apart: pytest's account of the difference would take minutes
        assert same, f"byte {at} of {len(whole)}"
        counts["harmless"] += 1
    assert counts["found"] > 0.9 * images.size / every  # every byte of an image, and the columns beside them
    assert counts["harmless"] < 0.15 * sum(counts.values())  # Arrow's padding, and spare of its own framing


@pytest.mark.parametrize("copy", ["first", "last"])
def test_a_header_that_differs_at_the_two_ends(folder, tmp_path, copy):
    """Class names stand there: no checksum covers them, but they stand there twice."""
    path = packed(folder, tmp_path / "a.arrow")
    whole = path.read_bytes()
    at = (whole.index if copy == "first" else whole.rindex)(b'"ant", "bee"') + 1
    path.write_bytes(whole[:at] + b"b" + whole[at + 1 :])
    with pytest.raises(StriateError, match=r"a\.arrow is damaged: its header stands at both ends, and they differ"):
        open_data(path)


def flip(path, column) -> int:
    """One bit of a column's first value in batch 1: another value that could be. How many batches there are."""
    pack, mapping = Pack(path), pa.memory_map(str(path))
    start = pack._mapping.seek(0) or pack._mapping.read_buffer(mapping.size()).address
    at, batches = pack.batch(1).column(column).buffers()[-1].address - start, pack.header.batches
    del pack
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    return batches


@pytest.mark.parametrize("column", ["label", "part"])
def test_labels_and_parts_that_are_damaged_are_found_when_the_pack_is_opened(folder, tmp_path, column):
    """A flipped label is another class that there is, so nothing but a sum of its own tells."""
    path = packed(folder, tmp_path / "a.arrow")
    batches = flip(path, column)
    for opened in (open_data, check_pack):
        with pytest.raises(StriateError) as caught:
            opened(path)
        assert str(caught.value) == f"{path} is damaged (batch 1 of {batches}: its labels or parts); pack again"


@pytest.mark.parametrize("column", ["key", "height", "crc32"])
def test_names_and_sizes_that_are_damaged_are_found_when_their_batch_is_come_to(folder, tmp_path, column):
    path = packed(folder, tmp_path / "a.arrow")
    said = f"is damaged (batch 1 of {flip(path, column)}: its names, sizes or checksums); pack again"
    pack = Pack(path)
    assert pack.key(0)
    with pytest.raises(StriateError) as caught:
        pack.file(pack.header.rows)
    assert str(caught.value) == f"{path} {said}"
    assert [one.reason for one in check_pack(path)] == [said]


def test_a_pack_from_before_labels_had_a_sum(folder, tmp_path, monkeypatch):
    """It is read, and its batch's own sum tells what is damaged; what was begun then is gone on with, byte for byte."""
    monkeypatch.setattr(writer, "sums", lambda batch: {SUM: checksum(batch.columns)})
    path = packed(folder, tmp_path / "old.arrow")
    whole = path.read_bytes()
    assert b"crc32.labels" not in whole
    assert len(open_data(path).train)
    monkeypatch.undo()
    monkeypatch.setattr(writer, "BATCH_NBYTES", 20_000)
    begun = tmp_path / "begun.arrow.part"
    begun.write_bytes(whole[: len(whole) // 2])
    done = write_pack(open_data(folder), tmp_path / "begun.arrow")
    assert 0 < done.resumed < done.images
    assert not check_pack(done.path)
    flip(path, "label")
    problems = check_pack(path)
    assert problems
    assert all("labels, keys or sizes; its images are whole" in one.reason for one in problems)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.9999])
def test_a_truncated_file_says_how_much_is_whole(folder, tmp_path, share):
    path = packed(folder, tmp_path / "a.arrow")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StriateError, match=r"a\.arrow is (truncated: \d+ of \d+ record batches|not a pack)") as caught:
        open_data(path)
    assert "\n" not in str(caught.value)
    if share >= 0.3:
        assert "images of 60; copy it again, or pack it again" in str(caught.value)


def test_an_arrow_file_of_someone_elses(tmp_path):
    path = tmp_path / "t.arrow"
    with pa.ipc.new_file(str(path), pa.schema([("x", pa.int32())])) as out:
        out.write_batch(pa.record_batch([pa.array([1, 2], pa.int32())], names=["x"]))
    with pytest.raises(StriateError, match="is an Arrow file but no pack of images"):
        open_data(path)


def test_a_damaged_encoded_image_is_named_when_it_is_loaded(folder, tmp_path):
    path = packed(folder, tmp_path / "a.arrow")
    pack = Pack(path)
    i = next(i for i in range(60) if pack.key(i).endswith("png") and pack.parts[i] == 0)
    at = path.read_bytes().index(bytes(pack.image(i)))
    where = pack.where(i)
    del pack
    with path.open("r+b") as file:
        file.seek(at + 45)
        file.write(b"\xff" * 8)
    with pytest.raises(StriateError) as caught:
        list(Loader(open_data(path).train, PREPROCESS, batch_size=8).epoch(0))
    assert where in str(caught.value)


def test_a_damaged_jpeg_that_still_decodes_is_named(folder, tmp_path, monkeypatch):
    """Most flipped bits of a JPEG only give other pixels: its sum tells, once, when a process first reads it."""
    path = packed(folder, tmp_path / "a.arrow")
    pack = Pack(path)
    i = next(i for i in range(60) if pack.key(i).endswith("jpg") and pack.parts[i] == 0)
    image, where = bytes(pack.image(i)), pack.where(i)
    at = path.read_bytes().index(image) + len(image) - 8  # in the scan's entropy-coded data
    row = int(np.flatnonzero(np.flatnonzero(pack.parts == 0) == i)[0])
    samples, summed = open_data(path).train, []
    assert samples.key(row) == pack.key(i)  # its batch's names are held against their sum
    with monkeypatch.context() as patched:
        count = lambda data, crc32=zlib.crc32: summed.append(len(data)) or crc32(data)  # noqa: E731
        patched.setattr(reader.zlib, "crc32", count)
        for _ in range(3):
            assert samples.read(row) == image
    assert summed == [len(image)]  # once
    del pack, samples
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([image[-8] ^ 1]))
    data = open_data(path).train
    with pytest.raises(StriateError) as caught:
        data.pixels(row, 3)
    assert str(caught.value) == f"{where} is damaged (its bytes); `striate data check {path}` says more"


READ_ALL = """
import sys
from pathlib import Path
from striate.data import open as open_data
from striate.data.pack.check import check_pack
from striate.errors import StriateError

whole, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
first, last, every = map(int, sys.argv[3:])
for flip in range(8 * first, 8 * last, every):
    at, bit = divmod(flip, 8)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    print(at, bit, flush=True)
    try:
        check_pack(path)
    except StriateError as error:
        assert len(str(error).splitlines()) == 1, error
    try:
        data = open_data(path)
    except StriateError as error:
        assert len(str(error).splitlines()) == 1, error
        continue
    for part in data.parts.values():
        for i in range(len(part)):
            for ask in (part.key, part.name, lambda i: part.pixels(i, 3)):
                try:
                    ask(i)
                except StriateError as error:
                    assert len(str(error).splitlines()) == 1, error
"""


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 29])
def test_no_flipped_bit_ends_the_process(tmp_path, monkeypatch, every):
    """Offsets and lengths that Arrow itself believes: reading a name by them would end the process, not raise."""
    root = tmp_path / "photos"
    for i in range(12):
        where = root / ("ant", "bee")[i % 2]
        where.mkdir(parents=True, exist_ok=True)
        Image.new("L", (1, 1), i).save(where / f"{i}.png")
    monkeypatch.setattr(writer, "BATCH_NBYTES", 400)
    path = packed(root, tmp_path / "a.arrow")
    asked = [sys.executable, "-c", READ_ALL, str(path), str(tmp_path / "bad.arrow"), "0", str(path.stat().st_size)]
    done = subprocess.run([*asked, str(every)], capture_output=True, text=True, timeout=600, check=False)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0, f"byte and bit {last}: rc {done.returncode} {done.stderr[-800:]}"


def test_damaged_pixels_are_named_when_they_are_first_read(folder, tmp_path, monkeypatch):
    path = packed(folder, tmp_path / "a.arrow", size=PackSize.parse("16x16"))
    pack = Pack(path)
    i = next(i for i in range(60) if pack.parts[i] == 0)
    at, where = path.read_bytes().index(bytes(pack.image(i))), pack.where(i)
    summed = []
    crc32 = zlib.crc32
    with monkeypatch.context() as patched:
        patched.setattr(reader.zlib, "crc32", lambda data: summed.append(len(data)) or crc32(data))
        for _ in range(3):
            pack.pixels(i)
    assert summed == [16 * 16 * 3]  # once
    del pack
    with path.open("r+b") as file:
        file.seek(at + 100)
        byte = file.read(1)[0]
        file.seek(at + 100)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(
        StriateError, match=r"damaged \(its pixels\); `striate data check .*a\.arrow` says more"
    ) as caught:
        list(Loader(open_data(path).train, PREPROCESS, batch_size=8).epoch(0))
    assert where in str(caught.value)


def test_time_to_open_does_not_grow_with_the_images(tmp_path, monkeypatch):
    """Two sets of as many batches, one with 40 times the bytes: within a factor that no pass over images would keep."""
    seconds = {}
    for side in (4, 160):
        images = np.zeros((400, side, side, 3), np.uint8)
        data = Dataset(
            name="x", spec="x", classes=("a", "b"), train=ArraySamples(images, np.arange(400) % 2), val=None, test=None,
            mirror=False,
        )  # fmt: skip
        monkeypatch.setattr(writer, "BATCH_NBYTES", images[:100].nbytes)
        write_pack(data, tmp_path / f"{side}.arrow")
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            open_data(tmp_path / f"{side}.arrow")
            times.append(time.perf_counter() - begun)
        seconds[side] = min(times)
    assert seconds[160] < 5 * seconds[4] + 0.005


def test_a_folder_that_cannot_be_flushed_names_the_pack(folder, tmp_path, monkeypatch):
    """It was `Input/output error`, of nothing."""

    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(writer, "sync_folder", fail)
    with pytest.raises(StriateError, match=r"^cannot write .*a\.arrow: Input/output error$"):
        write_pack(open_data(folder), tmp_path / "a.arrow")
