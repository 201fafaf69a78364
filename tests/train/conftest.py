"""Settings that make a run of a second."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def quick(tmp_path: Path) -> dict[str, Any]:
    """A small net on the digits, one epoch of 20 updates."""
    return {
        "model": "mlp",
        "model_settings": {"hidden": [16]},
        "size": 8,
        "epochs": 1,
        "precision": "fp32",
        "threads": 1,
        "output": str(tmp_path),
        "name": "run",
    }
