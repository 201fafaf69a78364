"""Pictures are well-formed documents that show what they were given, where it belongs."""

import xml.etree.ElementTree as ElementTree

import pytest

from striate.bench.charts import Dots, Line, dot_chart, line_chart
from striate.bench.roofline import Point, picture, roof

SVG = "{http://www.w3.org/2000/svg}"


def test_lines_show_points_quartiles_and_the_limit() -> None:
    line = Line(name="ours", points=[(3, 0.5), (5, 1.0), (7, 4.0)], low=[0.4, 0.9, 3.0], high=[0.6, 1.1, 5.0])
    root = ElementTree.fromstring(line_chart("FFT", [line], x_name="side", y_name="times", limit=1.0, log=True))
    (curve,) = root.iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in curve.attrib["points"].split()]
    assert heights == sorted(heights, reverse=True)
    (limit,) = [one for one in root.iter(f"{SVG}line") if one.attrib["class"] == "limit"]
    assert float(limit.attrib["y1"]) == pytest.approx(heights[1], abs=0.06)
    assert len(list(root.iter(f"{SVG}polygon"))) == 1
    described = root.findtext(f"{SVG}desc")
    assert described is not None
    assert "ours: 0.5 at 3, 4 at 7, at most 4" in described


def test_dots_stand_by_value_and_names_are_escaped() -> None:
    rows = [
        Dots(name="a<b", values={"ours": 4.0, "torch": 2.0}, heading="N = 1"),
        Dots(name="c", values={"torch": 0.0}),
    ]
    svg = dot_chart("Layers", rows, x_name="GFLOP/s", limit=3.0, limit_name="peak")
    root = ElementTree.fromstring(svg)
    at = {one.findtext(f"{SVG}title"): float(one.attrib["cx"]) for one in root.iter(f"{SVG}circle")}
    zero, two, four = at["c, torch: 0"], at["a<b, torch: 2"], at["a<b, ours: 4"]
    assert four - zero == pytest.approx(2 * (two - zero), abs=0.2)
    (limit,) = [one for one in root.iter(f"{SVG}line") if one.attrib["class"] == "limit"]
    assert float(limit.attrib["x1"]) == pytest.approx((two + four) / 2, abs=0.2)
    assert "a<b" not in svg


def test_a_roof_has_its_ridge_where_memory_meets_the_peak() -> None:
    points = [
        Point(name="low", kind="1×1", intensity=2.0, rate=1e10, peer_rate=5e9),
        Point(name="high", kind="3×3", intensity=500.0, rate=4e11),
    ]
    root = ElementTree.fromstring(picture("net", points, peak=2e11, bandwidth=1e10, peer="torch"))
    (line,) = root.iter(f"{SVG}polyline")
    places = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert places[1][1] == places[2][1] < places[0][1]
    dots = {one.findtext(f"{SVG}title"): one for one in root.iter(f"{SVG}circle")}
    high = next(one for title, one in dots.items() if title and title.startswith("high"))
    assert float(high.attrib["cy"]) < places[1][1], "above the roof: it saves multiplications"
    assert roof(20.0, 2e11, 1e10) == 2e11
    assert {"low", "high"} <= {text.text for text in root.iter(f"{SVG}text")}


@pytest.mark.parametrize(
    "draw", [lambda: line_chart("t", [], x_name="x", y_name="y"), lambda: dot_chart("t", [], x_name="x")]
)
def test_nothing_to_draw_is_an_error(draw: object) -> None:
    with pytest.raises(ValueError, match="to draw"):
        draw()  # type: ignore[operator]  # parametrize loses the type
