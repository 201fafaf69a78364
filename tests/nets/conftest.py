"""The zoo without its weights: each net built once, on the meta device, for tests that only look."""

from collections.abc import Callable
from functools import cache

import pytest
import torch

from striate.nets import Net, create_model


@cache
def on_meta(name: str) -> Net:
    with torch.device("meta"):
        return create_model(name)


@pytest.fixture(scope="session")
def zoo() -> Callable[[str], Net]:
    """zoo(name): the net for 1000 classes and 3 channels at its own size; shared, so look and do not touch."""
    return on_meta
