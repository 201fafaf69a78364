"""The command line as a process of its own, through the script that installing striate makes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]


def command() -> list[str]:
    script = Path(sys.executable).parent / "striate"
    return [str(script)] if script.exists() else [sys.executable, "-m", "striate.cli"]


@pytest.fixture
def striate(tmp_path: Path) -> Callable[..., Done]:
    """Run `striate` with the given arguments in an empty folder."""

    def run(*args: str, stdin: str | None = None, cwd: Path = tmp_path, **environment: str) -> Done:
        return subprocess.run(
            [*command(), *args],
            input=stdin,
            cwd=cwd,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
