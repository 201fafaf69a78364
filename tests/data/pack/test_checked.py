"""Packing decodes a file once; with a bad file among them, it packs what training would have used."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.data import FileSamples
from striate.data import open as open_data
from striate.data.pack import writer
from striate.data.pack.checked import pack_checked
from striate.data.pack.size import PackSize
from striate.data.pack.writer import write_pack
from striate.errors import StriateError

SIZE = PackSize.parse("8x8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for i in range(90):
        where = root / ("ant", "bee")[i % 2]
        where.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{i:02d}.jpg")
    return root


@pytest.fixture
def decoded(monkeypatch) -> Counter[str]:
    """How often each file was."""
    monkeypatch.setattr(writer, "BATCH_NBYTES", 3_000)
    asked: Counter[str] = Counter()
    decoded = FileSamples.decoded

    def counted(self, data, i, channels):
        asked[self.key(i)] += 1
        return decoded(self, data, i, channels)

    monkeypatch.setattr(FileSamples, "decoded", counted)
    return asked


def packing(folder: Path, path: Path, size: PackSize | None = SIZE, **settings):
    return pack_checked(lambda check: open_data(folder, check=check, **settings), path, size=size)


def test_every_file_is_decoded_once(folder, tmp_path, decoded):
    packing(folder, tmp_path / "a.arrow")
    assert len(decoded) == 90
    assert set(decoded.values()) == {1}
    write_pack(open_data(folder), tmp_path / "b.arrow", size=SIZE)
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


def test_files_bytes_are_checked_and_not_decoded_again(folder, tmp_path, decoded):
    packing(folder, tmp_path / "a.arrow", size=None)
    assert set(decoded.values()) == {1}


def test_bad_files_are_left_out_named_and_do_not_change_the_split_of_training(folder, tmp_path, decoded):
    for name in ("ant/40.jpg", "bee/71.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
    data, packed = packing(folder, tmp_path / "a.arrow")
    assert packed.images == 88
    assert any("ant/40.jpg" in note for note in data.notes)
    assert "2 files skipped; 90 listed as images" in data.notes
    write_pack(open_data(folder), tmp_path / "b.arrow", size=SIZE)
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


def test_a_part_without_the_bad_files_is_gone_on_with(folder, tmp_path, decoded, monkeypatch):
    (folder / "ant/88.jpg").write_bytes(b"no picture")
    packing(folder, tmp_path / "whole.arrow")
    whole = (tmp_path / "whole.arrow").read_bytes()
    (tmp_path / "a.arrow.part").write_bytes(whole[: len(whole) // 2])
    _, packed = packing(folder, tmp_path / "a.arrow")
    assert packed.resumed > 0
    assert (tmp_path / "a.arrow").read_bytes() == whole


def test_strict_names_every_bad_file(folder, tmp_path, decoded):
    (folder / "ant/40.jpg").write_bytes(b"no picture")
    (folder / "bee/71.jpg").write_bytes(b"")
    with pytest.raises(StriateError, match="2 files cannot be used, and --strict allows none") as error:
        packing(folder, tmp_path / "a.arrow", strict=True)
    assert "40.jpg" in str(error.value)
    assert "71.jpg" in str(error.value)
