"""What `striate evaluate` prints of names and numbers that are odd."""

from pathlib import Path

import numpy as np
import pytest

from striate.cli.evaluate_print import print_evaluation
from striate.evaluate import Calibration, Evaluation, Plan, Uncertainty
from striate.tasks import Classification


def evaluation(classes: tuple[str, ...], probabilities: list[list[float]], labels: list[int]) -> Evaluation:
    p, y = np.array(probabilities), np.array(labels)
    return Evaluation(
        model=Path("best.safetensors"),
        models=("best.safetensors",),
        data="photos",
        part="test",
        classes=classes,
        metrics=Classification(classes).metrics(p, y),
        seconds=0.1,
        plan=Plan(),
        views=1,
        samples=0,
        passes=len(y),
        probabilities=p,
        labels=y,
        calibration=Calibration.of(p, y),
        uncertainty=Uncertainty.of(p, np.zeros(len(y))),
        temperature=None,
        untempered=None,
        notes=(),
    )


def test_a_class_is_one_line_whatever_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation(evaluation(("two\nlines", "\x1b[31mred"), [[0.9, 0.1], [0.8, 0.2]], [0, 1]))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "  1 × \\x1b[31mred taken for two\\nlines\n" in out
    assert len(out.splitlines()) == 3 + 1 + 3 + 1 + 2  # measures, the table, what is confused


def test_all_are_right_only_where_none_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """One mistake in 50,000 is 99.998 %, and the line that names it stands below the table."""
    sure, unsure = [0.9, 0.1], [0.1, 0.9]
    print_evaluation(evaluation(("ant", "bee"), [sure] * 25_000 + [unsure] * 25_000, [0] * 25_001 + [1] * 24_999))
    out = capsys.readouterr().out
    assert "\naccuracy 99.998%, loss" in out
    assert [line.split() for line in out.splitlines() if line.startswith(("ant", "bee"))] == [
        ["ant", "25,001", "99.996%", "100.0%"],
        ["bee", "24,999", "100.0%", "99.996%"],
    ]
    assert "  1 × ant taken for bee\n" in out


def test_one_image_is_no_images(capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation(evaluation(("ant", "bee"), [[1.0, 0.0]], [0]))
    assert "test part: 1 image in 0.1 s\naccuracy 100.00%, loss 0.0000\n" in capsys.readouterr().out
