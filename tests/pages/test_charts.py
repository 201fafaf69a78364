"""Charts read back from their SVG: is every number where it should be, and said aloud as well?"""

import math
import re
import sys
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from striate.pages.axes import fit_axis, worth_log, x_grid, y_grid
from striate.pages.bars import MOST_BARS, count_chart
from striate.pages.curves import HEIGHT, WIDTH, Series, line_chart, spans
from striate.train.report.matrix import (
    FEWER,
    MOST_CLASSES,
    confusion_chart,
    most_confused_classes,
)

Element = ElementTree.Element

names = st.text(max_size=40)
finite = st.floats(-1e9, 1e9, allow_subnormal=False)


def parse(svg: str) -> Element:
    """The chart as a tree, having checked that a screen reader gets its title and description."""
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == ("title", "desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text
    assert description.text
    assert re.search("[0-9]|No images", description.text)
    return root


def found(root: Element, tag: str, kind: str) -> list[Element]:
    return [one for one in root.iter(tag) if kind in (one.get("class") or "").split()]


def texts(root: Element, kind: str | None = None) -> list[str]:
    return ["".join(one.itertext()) for one in (root.iter("text") if kind is None else found(root, "text", kind))]


def points(line: Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.get("points", "").split())]


def curve(values: list[float | None], **changed: object) -> Element:
    series = Series(name="training", x=range(1, len(values) + 1), y=values)
    options = {"x_name": "epoch", "y_name": "nats per image", **changed}
    return parse(line_chart("loss", "Loss", [series], **options))


def scale(root: Element) -> tuple[list[float], list[float]]:
    """The y axis as a reader sees it: heights of the ticks, and the numbers written beside them."""
    marks = [one for one in found(root, "text", "axis") if one.get("text-anchor") == "end" and one.get("x") == "39"]
    written = [("".join(one.itertext())).replace("\u202f%", "").replace(",", "") for one in marks]
    return [float(one.get("y", "")) - 4 for one in marks], [float(number) for number in written]


# Axes


@settings(deadline=None)
@given(st.lists(finite, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_an_axis_holds_its_values_and_marks_round_numbers(values: list[float], whole: bool, tight: bool) -> None:
    values = [float(round(value)) for value in values] if whole else values
    axis = fit_axis(values, 0, 100, whole=whole, tight=tight)
    room = 1e-6 * (axis.high - axis.low)
    assert axis.low - room <= min(values) <= max(values) <= axis.high + room
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(axis.low - room <= tick <= axis.high + room for tick in axis.ticks)
    assert len(axis.ticks) <= 12
    assert (axis.at(axis.low), axis.at(axis.high)) == (0, 100)
    steps = [b - a for a, b in pairwise(axis.ticks)]
    for step in steps:
        mantissa = f"{step:.3e}"[:5]
        assert mantissa in ("1.000", "2.000", "5.000") or math.isclose(step, steps[0], rel_tol=1e-3)


@settings(deadline=None)
@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=20))
@example([999999999998.0, 1e12])  # one value, as far as logarithms can tell
def test_a_logarithmic_axis_puts_equal_ratios_at_equal_distances(values: list[float]) -> None:
    axis = fit_axis(values, 0, 100, log=True)
    assert axis.log
    middle = math.sqrt(axis.low) * math.sqrt(axis.high)
    assert axis.at(middle) == pytest.approx(50)
    assert all(0.99 * axis.low <= tick <= 1.01 * axis.high for tick in axis.ticks)
    assert 2 <= len(axis.ticks) <= 14  # one says nothing of the others' distance


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.003, 0.0045, (0.003, 0.0035, 0.004, 0.0045)),  # no power of ten, nor 2 or 5 of one
        (2.1, 9.9, (4.0, 6.0, 8.0)),  # only 5
        (0.002, 0.005, (0.002, 0.005)),
    ],
)
def test_a_logarithmic_axis_within_a_decade_can_be_read(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert fit_axis([low, high], 0, 100, log=True).ticks == ticks


def test_whole_numbers_on_a_logarithmic_axis_are_marked_at_whole_numbers() -> None:
    assert fit_axis([3, 4], 0, 100, log=True, whole=True).ticks == (3, 4)


def test_shares_stay_between_nothing_and_everything() -> None:
    axis = fit_axis([0.61, 0.999], 0, 100, percent=True)
    assert axis.high == 1.0
    assert [axis.name(tick) for tick in axis.ticks][-1] == "100\u202f%"
    assert fit_axis([1.0], 0, 100, percent=True).high == 1.0


def test_a_logarithmic_axis_is_for_positive_values_that_differ_much() -> None:
    assert worth_log([0.01, 2.3])
    assert worth_log([0.1] * 30 + [0.01] * 30 + [0.001] * 30)
    assert not worth_log([0.05 * (1 + math.cos(math.pi * e / 31)) for e in range(31)])
    assert not worth_log([0.5, 2.3])
    assert not worth_log([0.0, 2.3])
    assert not worth_log([])


@pytest.mark.parametrize(
    ("tick", "name"),
    [
        (2.5, "2.5"),
        (2000, "2,000"),
        (5e6, "5\u202fM"),
        (2e-5, "2×10⁻⁵"),
        (0, "0"),
        (1.2e5, "120\u202fk"),
        (1.05e6, "1.05\u202fM"),
        (1.0005e-5, "1.0005×10⁻⁵"),  # beside 1×10⁻⁵
    ],
)
def test_ticks_are_named_for_people(tick: float, name: str) -> None:
    assert fit_axis([0, 1], 0, 1).name(tick) == name


# Curves


def test_a_grid_has_a_line_and_a_name_at_every_tick() -> None:
    x, y = fit_axis([0, 4], 50, 250), fit_axis([0, 8], 200, 20)
    root = ElementTree.fromstring(f"<svg>{x_grid(x, 20, 200)}{y_grid(y, 50, 250)}</svg>")
    lines = [
        tuple(float(line.get(end, "")) for end in ("x1", "x2", "y1", "y2")) for line in found(root, "line", "grid")
    ]
    assert lines == [(x.at(t), x.at(t), 20, 200) for t in x.ticks] + [(50, 250, y.at(t), y.at(t)) for t in y.ticks]
    assert texts(root) == [*map(x.name, x.ticks), *map(y.name, y.ticks)]


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 9.5), min_size=2, max_size=30))
def test_a_curve_can_be_read_off_its_axis(values: list[float]) -> None:
    root = curve(list(values), log=False)
    heights, numbers = scale(root)
    (line,) = found(root, "polyline", "line")
    read = [np.interp(-y, -np.array(heights), numbers) for _, y in points(line)]
    resolution = (max(numbers) - min(numbers)) / (HEIGHT - 74) * 0.11  # coordinates are rounded to a tenth of a pixel
    np.testing.assert_allclose(read, values, atol=2 * resolution)


def test_a_logarithmic_curve_can_be_read_off_its_axis() -> None:
    values = [10.0 ** (1 - 0.2 * i) for i in range(20)]
    root = curve(list(values))
    assert "nats per image, log scale" in texts(root)
    heights, numbers = scale(root)
    (line,) = found(root, "polyline", "line")
    ys = [y for _, y in points(line)]
    slope, offset = np.polyfit(heights, np.log(numbers), 1)
    np.testing.assert_allclose(slope * np.array(ys) + offset, np.log(values), atol=0.02)


@pytest.mark.parametrize("epochs", [2, 30, 1000])
def test_every_epoch_is_a_point_inside_the_frame(epochs: int) -> None:
    root = curve([1 + math.sin(i) for i in range(epochs)], best=epochs)
    (line,) = found(root, "polyline", "line")
    assert len(points(line)) == epochs
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points(line))
    assert texts(root, "best") == [f"best epoch: {epochs:,}"]


def test_the_best_epoch_is_marked_where_it_lies() -> None:
    root = curve([3.0, 1.0, 2.0], best=2)
    (line,) = found(root, "polyline", "line")
    (dot,), (rule,) = found(root, "circle", "dot"), found(root, "line", "best")
    assert (float(dot.get("cx", "")), float(dot.get("cy", ""))) == points(line)[1]
    assert float(rule.get("x1", "")) == points(line)[1][0]
    assert "The best epoch is 2." in "".join(root[1].itertext())


def test_one_epoch_is_a_dot() -> None:
    root = curve([2.5])
    assert not found(root, "polyline", "line")
    assert len(found(root, "circle", "dot")) == 1
    assert [text for text, one in zip(texts(root), root.iter("text"), strict=True) if one.get("y") == "238"] == ["1"]


def test_a_curve_breaks_where_values_are_missing() -> None:
    root = curve([1.0, 2.0, None, 4.0, None, 6.0, 7.0])
    assert [len(points(line)) for line in found(root, "polyline", "line")] == [2, 2]
    assert len(found(root, "circle", "dot")) == 1
    assert not found(root, "path", "broken")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_value_that_is_no_number_gets_a_cross(bad: float) -> None:
    root = curve([1.0, 2.0, bad, bad])
    assert len(found(root, "path", "broken")) == 1
    assert "no number at epoch 3" in texts(root)
    assert "2 values are not finite" in "".join(root[1].itertext())


@pytest.mark.parametrize("values", [[], [None, None], [math.nan]])
def test_a_curve_of_nothing_is_still_a_chart(values: list[float | None]) -> None:
    assert not found(curve(values, best=1), "polyline", "line")


def test_the_names_of_two_curves_never_touch() -> None:
    x = [1, 2, 3]
    series = [Series(name="training", x=x, y=[1, 1, 1], kind="b"), Series(name="validation", x=x, y=[1, 1, 1.001])]
    root = parse(line_chart("k", "Loss", series, x_name="epoch", y_name="nats"))
    ys = [float(one.get("y", "")) for one in found(root, "text", "name")]
    assert len(ys) == 2
    assert abs(ys[0] - ys[1]) >= 15
    assert max(ys) <= HEIGHT


def test_the_description_says_what_the_curves_do() -> None:
    x = [1, 2, 3]
    series = [Series(name="training", x=x, y=[0.5, 0.9, 0.75])]
    root = parse(line_chart("k", "Accuracy", series, x_name="epoch", y_name="images right", shares=True))
    said = "".join(root[1].itertext()).replace("\u202f", " ")
    assert "training: 50.0 % at epoch 1, highest 90.0 % at epoch 2, 75.0 % at epoch 3." in said


def test_long_logs_become_stretches_that_keep_the_extremes_and_the_mean() -> None:
    generator = np.random.default_rng(0)
    losses = generator.lognormal(size=1000)
    series = spans("loss", list(enumerate(losses.tolist())), 100)
    assert len(series.y) == 100
    assert min(series.low) == losses.min()
    assert max(series.high) == losses.max()
    np.testing.assert_allclose(series.y, losses.reshape(100, 10).mean(axis=1))
    assert (series.x[0], series.x[-1]) == (0, 999)
    root = parse(line_chart("k", "Loss", [series], x_name="step", y_name="nats"))
    (band,) = found(root, "polygon", "band")
    assert len(points(band)) == 200


def test_short_logs_are_kept_and_broken_ones_do_not_spread() -> None:
    assert list(spans("loss", [(1, 2.0), (2, math.nan)], 2).y[:1]) == [2.0]
    series = spans("loss", [(i, math.nan if i >= 90 else 1.0) for i in range(100)], 10)
    assert list(series.y[:9]) == [1.0] * 9
    assert math.isnan(series.y[9] or 0)


def test_one_bad_value_in_a_long_log_is_not_averaged_away() -> None:
    series = spans("", [(i, math.nan if i == 9995 else 1.0) for i in range(10_000)], 100)
    root = parse(line_chart("k", "Loss", [series], x_name="step", y_name="nats"))
    assert "no number at step 9,995" in texts(root)
    said = "".join(root[1].itertext())
    assert said.startswith("nats, over steps. 1.00 at step 0, ")
    assert said.endswith("1 value is not finite.")


# Bars


def test_bars_are_as_long_as_the_counts() -> None:
    root = parse(count_chart("k", ["a", "b", "c"], {"training": [10, 0, 40], "test": [5, 0, 20]}))
    training = [float(bar.get("width", "")) for bar in found(root, "rect", "a") if bar.get("height") == "14"]
    test = [float(bar.get("width", "")) for bar in found(root, "rect", "b") if bar.get("height") == "14"]
    assert training[1] / training[0] == pytest.approx(4, rel=0.01)
    assert training[0] / test[0] == pytest.approx(2, rel=0.01)
    assert [text for text in texts(root, "axis") if text.isdigit()] == ["15", "0", "60"]
    assert "The largest, c, has 60 images; the smallest, b, has 0." in "".join(root[1].itertext())


def test_very_many_classes_become_a_profile() -> None:
    sizes = list(range(1, 1001))
    root = parse(count_chart("k", [f"class {i}" for i in sizes], {"training": sizes}))
    (profile,) = found(root, "polygon", "bar")
    heights = [y for _, y in points(profile)][:1000]
    assert heights == sorted(heights)  # from the largest to the smallest: y grows downwards
    assert (
        len(found(parse(count_chart("k", ["x"] * MOST_BARS, {"t": [1] * MOST_BARS})), "rect", "bar")) == MOST_BARS + 1
    )


@pytest.mark.parametrize("counts", [{}, {"training": []}, {"training": [0, 0]}])
def test_bars_of_nothing_are_still_a_chart(counts: dict[str, list[int]]) -> None:
    parse(count_chart("k", ["a", "b"][: len(counts.get("training", []))], counts))


# The matrix


def test_every_count_is_a_cell_in_its_row_and_column() -> None:
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 5]])
    root = parse(confusion_chart("k", ["ant", "bee", "cat"], confusion))
    assert len(found(root, "rect", "right")) == 3
    wrong = found(root, "rect", "wrong")
    assert len(wrong) == 2
    (two, one) = wrong
    assert float(two.get("x", "")) > float(one.get("x", ""))  # taken for bee: the second column
    assert float(two.get("y", "")) < float(one.get("y", ""))  # is an ant: the first row
    assert float(two.get("fill-opacity", "")) == pytest.approx(math.sqrt(2 / 10), abs=0.005)
    counts = texts(root, "over") + texts(root, "middle") + texts(root, "under")
    assert sorted(counts) == ["1", "2", "5", "8", "9"]
    told = [title.text for title in root.iter("title")]
    assert "ant taken for bee: 2 of 10" in told
    said = "".join(root[1].itertext()).replace("\u202f", " ")
    assert "25 images, 88.0 % on the diagonal" in said
    assert "Confused most: ant taken for bee, 2; bee taken for ant, 1." in said


@pytest.mark.parametrize("classes", [1, 2, 20, 21, MOST_CLASSES, MOST_CLASSES + 1, 1000])
def test_a_matrix_of_any_size_is_drawn(classes: int) -> None:
    generator = np.random.default_rng(classes)
    confusion = np.diag(generator.integers(1, 50, classes)) + generator.poisson(20 / classes**2, (classes, classes))
    root = parse(confusion_chart("k", [f"a class of a rather long name {i}" for i in range(classes)], confusion))
    shown = classes if classes <= MOST_CLASSES else FEWER + 1
    assert len(found(root, "rect", "cell")) <= shown**2
    assert ("all others" in texts(root)) == (classes > MOST_CLASSES)
    assert all(len(text) <= 14 for text in texts(root))


def test_nothing_confused_and_nothing_scored_are_said() -> None:
    assert "Nothing was confused." in confusion_chart("k", ["a", "b"], np.diag([3, 4]))
    assert "No images." in confusion_chart("k", ["a", "b"], np.zeros((2, 2), dtype=np.int64))


def test_the_reduced_matrix_keeps_the_worst_pairs_and_counts_every_image() -> None:
    generator = np.random.default_rng(0)
    confusion = np.diag(generator.integers(20, 50, 200)) + generator.poisson(0.01, (200, 200))
    confusion[150, 17] = 19
    shown, small = most_confused_classes([str(i) for i in range(200)], confusion, FEWER)
    assert small.sum() == confusion.sum()
    assert len(shown) == len(small) == FEWER + 1
    assert shown[-1] == "all others"
    assert small[shown.index("150"), shown.index("17")] == 19
    for i, name in enumerate(shown[:-1]):
        assert small[i].sum() == confusion[int(name)].sum()
        assert small[:, i].sum() == confusion[:, int(name)].sum()


def test_few_mistakes_fill_the_reduced_matrix_up_with_the_first_classes() -> None:
    shown, _ = most_confused_classes([str(i) for i in range(50)], np.eye(50, dtype=np.int64), 5)
    assert shown == ["0", "1", "2", "3", "4", "all others"]


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=5))
def test_no_name_breaks_a_chart(of_classes: list[str]) -> None:
    count = len(of_classes)
    parse(count_chart("k", of_classes, {"training": range(count)}))
    parse(confusion_chart("k", of_classes, np.arange(count * count).reshape(count, count)))
    x = [1, 2]
    parse(line_chart("k", of_classes[0] or "-", [Series(name=of_classes[0], x=x, y=x)], x_name="step", y_name="nats"))


@pytest.mark.parametrize("log", [False, True])
def test_an_axis_holds_the_largest_and_the_smallest_numbers_there_are(log: bool) -> None:
    """Differences of the largest overflow, fifths of the smallest vanish: a diverged run has such losses."""
    largest, smallest = sys.float_info.max, 5e-324
    for values in ([-largest, largest], [smallest, largest], [smallest, smallest], [0.0, smallest], [largest, largest]):
        axis = fit_axis(values, 0, 100, log=log)
        assert axis.low < axis.high < math.inf
