"""A run's folder as it is made."""

import os
import stat
from pathlib import Path

import pytest

from striate.train import RunFolder, Settings


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o700), (0o022, 0o755), (0o002, 0o775)])
def test_it_is_as_open_as_the_umask_says(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        folder = RunFolder.create(Settings(output=str(tmp_path / "runs")), "net-data")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == mode
