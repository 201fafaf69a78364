"""Runs made sick on purpose, and healthy ones: the cases of benchmarks/sick.py that need scikit-learn's digits only."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


def _cases() -> Any:
    path = Path(__file__).parents[3] / "benchmarks" / "sick.py"
    spec = importlib.util.spec_from_file_location("benchmarks_sick", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


sick = _cases()
QUICK = ("a weight that is no number", "twelve layers, first weights three times He's", "black images")
CASES = [case for case in sick.SICK + sick.HEALTHY if case.fast or case.name in QUICK]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case.name in QUICK else pytest.mark.slow, id=case.name) for case in CASES],
)
def test_the_right_illness_is_named_and_none_in_a_healthy_run(
    case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("striate.train.watch.watch.ADVANCE", 1e6)  # as many looks on a machine busy with other work
    found, series = sick.train_case(case, tmp_path)
    if case.right:
        assert [one.illness for one in found][:1] == [case.right[0]]
    else:
        assert found == []
        assert series.said == []
