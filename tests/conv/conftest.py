"""Choices of algorithms made in tests are kept nowhere: another machine, another day, another choice."""

import pytest
import torch
from torch import nn

from striate.conv import acceleration, cache, refusal
from striate.conv.measure import Measurement


@pytest.fixture(autouse=True)
def no_cache_on_disk(monkeypatch):
    monkeypatch.setenv("STRIATE_CONV_CACHE", "")
    cache._known.cache_clear()
    yield
    cache._known.cache_clear()


@pytest.fixture
def ours_is_fastest(monkeypatch):
    """Measurements as if our Winograd were always faster than torch, so that tests do not depend on the machine."""

    def measured(shape, pass_, **settings):
        known = {"torch": Measurement(1.0, 1.0, 1e-7, 0), "winograd4": Measurement(0.5, 0.5, 1e-6, 1000)}
        return {name: m for name, m in known.items() if name == "torch" or not refusal(name, pass_, shape)}

    monkeypatch.setattr(acceleration, "measured", measured)
    monkeypatch.setattr(acceleration, "LEAST_GAIN", 0.0)
    return monkeypatch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x)).relu()).mean((2, 3)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def images():
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))
