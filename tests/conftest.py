"""What all tests share."""

import os
from pathlib import Path

import pytest

# Read when torch loads: a thread that waits leaves its core to others, as other work may run beside the tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    """One compute thread: the nets here are tiny, and tests may run beside other work."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout; skips, saying so, where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in ../shared/data, which are not here")
    return folder
