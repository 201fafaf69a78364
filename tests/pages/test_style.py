"""The style sheet: can everything be read, on the light page and on the dark one?"""

import re

import numpy as np
import pytest

from striate.pages import document
from striate.train.report.matrix import DARK_TURN, LIGHT_TURN


def test_counts_are_legible_on_every_cell_of_either_page(style: dict[str, dict[str, str]]) -> None:
    """WCAG 2.1 contrast of the count's colour against its cell, at least 3.5 (bold or large text needs 3)."""
    for theme, colours in style.items():
        for kind, variable in (("right", "a"), ("wrong", "b"), ("rest", "muted")):
            for strength in np.linspace(0.07, 1, 60):
                turn = "over" if strength >= LIGHT_TURN[kind] else "middle" if strength >= DARK_TURN else "under"
                text = {"over": "paper", "middle": "on-middle", "under": "ink"}[turn]
                cell = [
                    strength * a + (1 - strength) * b
                    for a, b in zip(rgb(colours[variable]), rgb(colours["panel"]), strict=True)
                ]
                assert contrast(rgb(colours[text]), cell) >= 3.5, (theme, kind, strength)


def test_text_is_legible_on_either_page(style: dict[str, dict[str, str]]) -> None:
    for theme, colours in style.items():
        for text in ("ink", "muted", "a", "b", "c"):
            assert contrast(rgb(colours[text]), rgb(colours["paper"])) >= 4.5, (theme, text)
        assert contrast(rgb(colours["ink"]), rgb(colours["tint"])) >= 4.5, theme


@pytest.fixture(scope="module")
def style() -> dict[str, dict[str, str]]:
    """The colours of the light page and of the dark one."""
    sheet = str(document.style())
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", sheet, re.S)
    )
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


def rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.1, relative luminance and contrast ratio."""

    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
