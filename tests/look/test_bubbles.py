"""The bubble chart: every net drawn where it belongs, every name legible, the whole a valid document."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from striate.look import Bubble, bubble_chart
from striate.look.bubbles import LETTER, LINE

SVG = "{http://www.w3.org/2000/svg}"


def nets() -> list[Bubble]:
    """Figures of the lecture's chart, and many nets at nearly one place."""
    real = [
        Bubble(name="alexnet", family="alexnet", macs=714_000_000, params=61_100_840, top1=0.565),
        Bubble(name="vgg16", family="vgg", macs=15_470_000_000, params=138_357_544, top1=0.716),
        Bubble(name="resnet50", family="resnet", macs=4_089_000_000, params=25_557_032, top1=0.761),
        Bubble(name="nin<&", family="nin", macs=1_100_000_000, params=7_500_000, top1=0.593, one_crop=False),
    ]
    crowd = [
        Bubble(name=f"net{i}", family="c", macs=2_000_000_000, params=10**6, top1=0.69 + i / 1000) for i in range(6)
    ]
    return real + crowd


def circles(svg: str) -> dict[str, dict[str, str]]:
    found = {}
    for circle in ET.fromstring(svg).iter(f"{SVG}circle"):
        title = circle.find(f"{SVG}title")
        if title is not None:
            found[str(title.text).split(":")[0]] = circle.attrib
    return found


def test_places_and_areas():
    drawn = circles(bubble_chart(nets()))
    assert set(drawn) == {net.name for net in nets()}
    x, y, r = ({name: float(at[key]) for name, at in drawn.items()} for key in ("cx", "cy", "r"))
    assert x["alexnet"] < x["resnet50"] < x["vgg16"]
    assert y["resnet50"] < y["vgg16"] < y["alexnet"]  # up is less y
    per_gmac = (x["vgg16"] - x["alexnet"]) / (15.47 - 0.714)
    assert (x["resnet50"] - x["alexnet"]) / per_gmac == pytest.approx(4.089 - 0.714, abs=0.02)
    assert r["vgg16"] / r["alexnet"] == pytest.approx(math.sqrt(138_357_544 / 61_100_840), rel=0.01)
    assert drawn["nin<&"]["fill"] == "none"
    assert drawn["vgg16"]["stroke"] != drawn["resnet50"]["stroke"]


def test_the_axis_is_marked_from_zero_on_however_alike_the_nets_are():
    svg = bubble_chart(
        [Bubble(name=f"vgg{n}", family="vgg", macs=n * 10**9, params=10**8, top1=0.7) for n in (16, 17, 19)]
    )
    below = re.findall(r'<text x="([\d.]+)" y="466" text-anchor="middle"[^>]*>([\d.]+)</text>', svg)
    marks = {float(name): float(at) for at, name in below}
    assert min(marks) == 0
    assert max(marks) >= 19
    per_gmac = (marks[max(marks)] - marks[0]) / max(marks)
    assert float(circles(svg)["vgg17"]["cx"]) == pytest.approx(marks[0] + 17 * per_gmac, abs=0.1)


def test_no_two_names_lie_on_each_other():
    boxes = [
        (float(x), float(y), float(x) + LETTER * len(name), float(y) + LINE)
        for x, y, name in re.findall(
            r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>((?:net|vgg|res|ale)\w+)</text>', bubble_chart(nets())
        )
    ]
    assert len(boxes) == 9
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_screen_reader_is_told():
    description = ET.fromstring(bubble_chart(nets())).find(f"{SVG}desc")
    assert description is not None
    assert description.text == (
        "10 nets. The most accurate is resnet50 with 76.1% at 4.1 billion multiply-adds; "
        "the cheapest is alexnet with 56.5% at 0.71 billion."
    )


def test_one_net_is_a_chart_and_none_is_not():
    assert set(circles(bubble_chart(nets()[:1]))) == {"alexnet"}
    with pytest.raises(ValueError, match="no nets to draw"):
        bubble_chart([])
