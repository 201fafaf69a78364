"""How much memory a loader may take."""

import psutil

from striate.data import bases
from striate.data.memory import available_nbytes


def test_the_default_budget_is_a_share_of_what_is_free(monkeypatch):
    monkeypatch.setattr(bases, "available_nbytes", lambda: 1 << 40)
    assert bases.default_budget() == 2 << 30
    monkeypatch.setattr(bases, "available_nbytes", lambda: 4000)
    assert bases.default_budget() == 1000


def test_available_memory_is_the_systems_figure_or_less():
    assert 0 <= available_nbytes() <= 1.5 * psutil.virtual_memory().available
