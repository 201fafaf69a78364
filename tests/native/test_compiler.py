"""A compiler that cannot build the core is told so before it has compiled for minutes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_compiler_too_old_is_named_with_what_to_do(tmp_path: Path) -> None:
    compiler = tmp_path / "g++-old"
    compiler.write_text('#!/bin/sh\nexec g++ -U__GNUC__ -D__GNUC__=10 "$@"\n')  # what CMake asks for its version
    compiler.chmod(0o755)
    tools = Path(sys.executable).parent
    cmake = shutil.which("cmake", path=f"{tools}:{os.environ['PATH']}")
    if cmake is None:
        pytest.skip("needs cmake")
    done = subprocess.run(
        [cmake, "-S", ROOT, "-B", tmp_path / "build", "-DSTRIATE_NATIVE_TESTS=ON"],
        env=os.environ | {"CXX": str(compiler), "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    said = " ".join(done.stderr.split())
    assert "g++-old is version 10." in said
    assert "too old for striate's core: install GCC 11 or Clang 11, or newer, and name it by CXX=g++-11" in said
