"""The scan finds what is bad, whatever the number of threads."""

import numpy as np
import pytest
from PIL import Image

from striate.data.check import Problem, available_threads, scan
from striate.data.samples import ArraySamples, FileSamples
from striate.data.source import FolderSource


@pytest.fixture
def samples(tmp_path):
    names = [f"{i:03d}.png" for i in range(200)]
    for i, name in enumerate(names):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / name)
    for i in (0, 63, 64, 199):
        (tmp_path / names[i]).write_bytes(b"")
    return FileSamples(FolderSource(tmp_path), names, [0] * 200)


@pytest.mark.parametrize("threads", [1, 2, 7, None])
def test_every_bad_file_is_found_in_order(samples, threads):
    bad = scan(samples, threads)
    assert list(bad) == [0, 63, 64, 199]
    assert bad[63] == Problem(samples.name(63), "is empty")
    assert str(bad[63]) == f"{samples.name(63)}: is empty"


def test_progress(samples):
    seen = []
    scan(samples, 2, lambda done, total: seen.append((done, total)))
    assert seen == [(64, 200), (128, 200), (192, 200), (200, 200)]


def test_nothing_to_scan():
    assert scan(ArraySamples(np.zeros((0, 2, 2, 1), np.uint8), [])) == {}


def test_threads():
    assert 1 <= available_threads() <= 16
