"""No code that is compiled for one instruction set may be merged with another's."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = sorted(ROOT.glob("build/*/CMakeFiles/striate_kernels_*.dir/**/*.o"))


@pytest.mark.skipif(not KERNELS, reason="built elsewhere: no object files of kernels here")
@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm to read object files with")
def test_weak_functions_of_kernel_files_belong_to_their_instruction_set():
    """The linker keeps one copy of each weak symbol, whichever set that was compiled for."""
    strangers = []
    for file in KERNELS:
        isa = next(part for part in file.parts if part.startswith("striate_kernels_"))[16:].removesuffix(".dir")
        lines = subprocess.run(["nm", "-gC", file], capture_output=True, text=True, check=True).stdout.splitlines()
        symbols = [line[19:] for line in lines if line[17:18] == "W"]  # address, kind, name
        strangers += [
            f"{file.parent.name}/{file.name}, {isa}: {name}" for name in symbols if f"striate::{isa}::" not in name
        ]
    assert strangers == []
