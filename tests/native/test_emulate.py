"""What can be said of the emulated computer without booting it (`make avx512` does)."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "native" / "tests" / "emulate.py"


@pytest.fixture
def emulate():
    spec = importlib.util.spec_from_file_location("emulate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpacked(archive):
    """{name: (mode, bytes)} of a newc archive: 110 letters of head, then name and bytes, each to a multiple of four."""
    files, at = {}, 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        numbers = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = archive[at + 110 : at + 110 + name_size]
        assert name.endswith(b"\0")
        data = at + -(-(110 + name_size) // 4) * 4
        files[name[:-1].decode()] = (mode, archive[data : data + size])
        at = data + -(-size // 4) * 4
    return files


def test_the_archive_unpacks_to_what_was_packed(emulate):
    archive = emulate.entry("dev", 0o040755) + emulate.entry("first", 0o100755, b"12345") + emulate.entry("x/y", 0, b"")
    assert unpacked(archive) == {"dev": (0o040755, b""), "first": (0o100755, b"12345"), "x/y": (0, b"")}


def test_the_end_is_a_whole_line(emulate):
    assert emulate.ENDED.search("3972 passed, 0 failed\nexit status 1\r\n")[1] == "1"
    assert not emulate.ENDED.search("exit status 1")  # more figures may follow
    assert not emulate.ENDED.search("its exit status 1\n")


def test_what_is_lacking_is_named_with_its_package(emulate, monkeypatch, tmp_path):
    program, kernel = tmp_path / "program", tmp_path / "vmlinuz"
    monkeypatch.setattr(emulate.shutil, "which", lambda tool: None if tool == "xorriso" else tool)
    assert emulate.lacking("bochs", kernel, program) == "xorriso is not installed (Debian: xorriso)"
    monkeypatch.setattr(emulate.shutil, "which", lambda tool: tool)
    monkeypatch.setattr(emulate, "LOADER", tmp_path / "loader")
    assert emulate.lacking("bochs", kernel, program) == f"{tmp_path / 'loader'} is not there (Debian: isolinux)"
    for name in ("LOADER", "LOADER_MODULE"):
        monkeypatch.setattr(emulate, name, tmp_path)
    assert emulate.lacking("bochs", kernel, program) == (
        f"no kernel {kernel} (Debian: linux-image-cloud-amd64; --kernel names another)"
    )
    kernel.touch()
    for file in (program, tmp_path / "striate_first"):
        assert emulate.lacking("bochs", kernel, program) == f"{file} is not there"
        file.touch()
    assert emulate.lacking("bochs", kernel, program) == ""


def test_a_program_that_is_not_there_is_one_line():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--bochs", "no-such-bochs", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "emulate.py: error: no-such-bochs is not installed (Debian: bochs)"
