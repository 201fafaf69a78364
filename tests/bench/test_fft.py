"""The sweep over filters: geometry, crossover and figure."""

from striate.bench.conv import Entry, Row
from striate.bench.fft import FILTERS, crossover, figure, layers
from striate.bench.timing import spread


def row(side: int, times: float) -> Row:
    (layer,) = layers([side], 8, 32)
    one, other = (Entry(error=0.0, seconds=spread([s]), samples=(s,)) for s in (1.0, times))
    return Row(layer=layer, batch=1, which="forward", flops=1, entries={"striate": one, "torch": other})


def test_filters_are_the_lectures_and_images_keep_their_size() -> None:
    assert (FILTERS[0], FILTERS[-1], len(FILTERS)) == (3, 31, 15)
    assert {layer.out_size for layer in layers(FILTERS, 4, 40)} == {(40, 40)}


def test_the_crossover_is_where_it_stays_ahead() -> None:
    assert crossover([row(3, 0.5), row(5, 1.2), row(7, 0.9), row(9, 1.1), row(11, 3.0)], "torch") == 9
    assert crossover([row(3, 2.0), row(5, 0.9)], "torch") is None


def test_the_figure_has_a_point_for_every_filter() -> None:
    svg = figure([row(3, 0.5), row(5, 1.2), row(31, 20.0)], "torch")
    assert svg.count("<circle") == 3 + 1  # and the key
    assert "20 at 31" in svg
