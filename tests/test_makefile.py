"""`make` on odd machines: it says in a line what is missing, and a second call mends what the first one left."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with a blank in its name, of which `make` could not install anything."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").write_text("# nothing\n")
    return folder


def make(tree: Path, *args: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *args], cwd=tree, env=plain, capture_output=True, text=True, check=False)


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("python", "named"), [("false", "false"), ("/no/python", "/no/python"), ("", "no python3 found")]
)
def test_a_python_too_old_or_missing_is_said_and_leaves_nothing(tree: Path, python: str, named: str) -> None:
    done = make(tree, "demo", f"PYTHON={python}")
    assert done.returncode == 2
    assert f"make: {named}: striate needs Python 3.11 or newer; say where it is: make PYTHON=…\n" in done.stderr
    assert not (tree / ".venv").exists()


def test_an_environment_that_cannot_install_is_made_anew(tree: Path) -> None:
    script(tree / ".venv/bin/python", "exit 1")  # without pip, or of another Python
    script(tree / "python", 'echo "$*" >> asked; test "$1" = -c')
    assert make(tree, "demo", "PYTHON=./python").returncode == 2
    assert (tree / "asked").read_text().splitlines()[-1] == "-m venv --clear .venv"


def test_an_environment_that_can_is_kept(tree: Path) -> None:
    script(tree / ".venv/bin/python", 'echo "$*" >> asked; test "$1" = -c')
    assert make(tree, "demo", "PYTHON=false").returncode == 2
    assert "-m pip install" in (tree / "asked").read_text().splitlines()[-1]
