"""Paths as people write them."""

from pathlib import Path

import pytest

import striate
from striate.errors import StriateError
from striate.home import at_home


def test_a_home_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert at_home("~/runs") == Path("/home/ada/runs")
    assert at_home(Path("runs")) == Path("runs")


@pytest.mark.parametrize("given", [None, 3, b"model.safetensors"])
def test_what_is_no_path_is_one_clear_line(given):
    for asked in (at_home, striate.load_model, striate.Run):
        with pytest.raises(StriateError, match=r"^a path is given as a text, or as a pathlib\.Path, got "):
            asked(given)
