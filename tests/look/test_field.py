"""The picture of a field: ink where there is influence, boxes where they belong."""

import numpy as np
import pytest

from striate.look import draw_field
from striate.nets.measured_field import MeasuredField


def field(height: int, width: int) -> MeasuredField:
    contribution = np.zeros((height, width))
    contribution[3:6, 4:9] = 1.0
    contribution[4, 6] = 4.0
    return MeasuredField(layer="a", unit=(0, 0), contribution=contribution, support=(3, 4, 6, 9))


@pytest.mark.parametrize(("height", "width"), [(20, 30), (8, 12), (600, 500)])
def test_ink_and_boxes(height, width):
    picture = np.asarray(draw_field(field(height, width), (1, 2, 9, width + 5)))
    scale = -(-448 // width)
    assert picture.shape == (height * scale, width * scale, 3)
    assert picture[4 * scale + scale // 2, 6 * scale + scale // 2].tolist() == [8, 48, 107]  # the most
    half = picture[4 * scale + scale // 2, 7 * scale + scale // 2]
    assert half.tolist() == [132, 152, 181]  # a quarter of the most: half the ink
    assert picture[3 * scale, 4 * scale].tolist() == [217, 95, 2]
    assert picture[6 * scale - 1, 9 * scale - 1].tolist() == [217, 95, 2]
    assert picture[1 * scale, 2 * scale].tolist() == [120, 120, 120]
    assert picture[1 * scale, width * scale - 1].tolist() == [120, 120, 120]  # cut off at the border
    assert picture[-1, 0].tolist() == [255, 255, 255]


def test_a_dead_unit_is_a_white_page():
    dead = MeasuredField(layer="a", unit=(0, 0), contribution=np.zeros((4, 4)), support=None)
    assert (np.asarray(draw_field(dead)) == 255).all()
