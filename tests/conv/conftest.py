"""Choices of algorithms made in tests are kept nowhere: another machine, another day, another choice."""

import pytest

from striate.conv import cache


@pytest.fixture(autouse=True)
def no_cache_on_disk(monkeypatch):
    monkeypatch.setenv("STRIATE_CONV_CACHE", "")
    cache._known.cache_clear()
    yield
    cache._known.cache_clear()
