"""What `warp` refuses, and the one line that says so."""

import numpy as np
import pytest

from striate import _native


def arguments(**changed):
    given_by = {
        "images": [np.zeros((4, 5, 3), np.uint8), np.zeros((3, 3, 3), np.uint8)],
        "geometry": np.tile(np.eye(3), (2, 1, 1)),
        "lens": None,
        "colour": None,
        "scale": np.ones(3, np.float32),
        "shift": np.zeros(3, np.float32),
        "fill": np.zeros(3, np.float32),
        "out": np.empty((2, 3, 6, 7), np.float32),
        "threads": 1,
        "filter": "bilinear",
        "antialias": True,
        "border": "constant",
    }
    return given_by | changed


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((3, 3)), r"is \[0, 0, 0; 0, 0, 0; 0, 0, 0\], which sends part of the output of 8 × 9 px to infinity"),
        (np.diag([1, 0, 1]), r"is \[1, 0, 0; 0, 0, 0; 0, 0, 1\], which is singular: it maps the output onto a line"),
        ([[1, 2, 0], [2, 4, 0], [0, 0, 1]], "is .*, which is singular"),
        (np.full((3, 3), np.nan), r"is \[nan, .*\], which is not finite"),
        ([[1, 0, np.inf], [0, 1, 0], [0, 0, 1]], r"is \[1, 0, inf; .*, which is not finite"),
        ([[1, 0, 0], [0, 1, 0], [-0.2, 0, 1]], r"is .*-0.2, 0, 1\], which sends part of the output of 8 × 9 px"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1e-13]], "is .*, which sends part of the output"),
        ([[1e300, 0, 0], [0, 1e300, 0], [0, 0, 1e-300]], "is .*, which sends part of the output"),
    ],
)
def test_a_map_that_is_none_is_refused_by_row_and_numbers(matrix, message):
    geometry = np.array([np.eye(3), matrix], np.float64)
    with pytest.raises(ValueError, match=rf"^warp: geometry\[1\] {message}"):
        _native.warp(**arguments(geometry=geometry, out=np.empty((2, 3, 8, 9), np.float32)))


def test_a_lens_that_is_not_finite_or_reaches_the_horizon_is_refused():
    with pytest.raises(ValueError, match=r"^warp: geometry\[0\] comes with a lens \(nan, 0\), which is not finite"):
        _native.warp(**arguments(lens=np.array([[np.nan, 0], [0, 0]])))
    tilted = np.tile(np.array([[1, 0, 0], [0, 1, 0], [0.05, 0.05, 1.0]]), (2, 1, 1))
    _native.warp(**arguments(geometry=tilted))
    message = r"^warp: geometry\[1\] .* after a lens \(4, 0\), which sends part of the output of 6 × 7 px to infinity"
    with pytest.raises(ValueError, match=message):
        _native.warp(**arguments(geometry=tilted, lens=np.array([[0, 0], [4.0, 0]])))


def test_the_call_that_the_others_change_works():
    _native.warp(**arguments())
    _native.warp(**arguments(out=np.empty((2, 3, 6, 0), np.float32)))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, TypeError, r"images must be a list of arrays uint8\[H, W, C\]"),
        ({"images": [np.zeros((4, 5, 3), np.uint8)]}, ValueError, "images must have one entry for each of the 2"),
        ({"images": [np.zeros((4, 5, 1), np.uint8)] * 2}, ValueError, r"images\[0\] has 1 channels and out has 3"),
        ({"images": [np.zeros((0, 5, 3), np.uint8)] * 2}, ValueError, r"images\[0\] is empty: uint8\[0, 5, 3\]"),
        ({"images": [np.zeros((4, 5, 3))] * 2}, TypeError, r"images\[0\] must be uint8\[H, W, C\], not float64"),
        ({"geometry": np.eye(3)}, TypeError, r"geometry must be float64\[B, 3, 3\], not float64\[3, 3\]"),
        (
            {"geometry": np.zeros((3, 3, 3))},
            ValueError,
            r"geometry must have the shape \(2, 3, 3\) for out float32\[2, 3, 6, 7\], not float64\[3, 3, 3\]",
        ),
        ({"lens": np.zeros((2, 3))}, ValueError, r"lens must have the shape \(2, 2\)"),
        ({"lens": np.zeros(2)}, TypeError, r"lens must be float64\[B, 2\] or None, not float64\[2\]"),
        ({"colour": np.zeros((2, 3, 3), np.float32)}, ValueError, r"colour must have the shape \(2, 3, 4\)"),
        ({"colour": np.zeros((2, 3, 4))}, TypeError, r"colour must be float32\[B, C, C \+ 1\] or None, not float64"),
        ({"scale": np.ones(1, np.float32)}, ValueError, r"scale must have the shape \(3\)"),
        (
            {"colour": np.full((2, 3, 4), np.nan, np.float32)},
            ValueError,
            r"colour\[0\] must be from -1e30 to 1e30, not nan",
        ),
        ({"scale": np.array([1, np.nan, 1], np.float32)}, ValueError, r"scale\[1\] must be .*, not nan"),
        ({"shift": np.array([0, 0, -np.inf], np.float32)}, ValueError, r"shift\[2\] must be .*, not -inf"),
        ({"fill": np.full(3, 256, np.float32)}, ValueError, r"fill\[0\] must be from 0 to 255, not 256"),
        ({"out": np.empty((2, 3, 6, 7))}, TypeError, r"out must be float32, bfloat16 or uint8 \[B, C, h, w\], not flo"),
        ({"out": np.empty((2, 2, 6, 7), np.float32)}, ValueError, "out must have 1 or 3 channels, not float32"),
        ({"out": np.empty((2, 3, 6, 14), np.float32)[..., ::2]}, ValueError, "out must be contiguous or channels-last"),
        (
            {"out": np.empty((2, 3, 6, 7), np.uint8), "scale": np.full(3, 0.5, np.float32)},
            ValueError,
            r"scale\[0\] must be 1 where out is uint8, not 0.5",
        ),
        ({"threads": 0}, ValueError, "threads must be from 1 to 256, not 0"),
        ({"filter": "lanczos"}, ValueError, "unknown filter 'lanczos'; choose from nearest, bilinear, bicubic"),
        ({"border": "wrap"}, ValueError, "unknown border 'wrap'; choose from constant, edge, reflect"),
        ({"border": None}, TypeError, "border must be a name, not NoneType"),
        ({"antialias": 1}, TypeError, "antialias must be True or False, not int"),
        ({"isa": "sse9"}, ValueError, "isa='sse9' is not an instruction set known here"),
    ],
)
def test_warp_says_what_does_not_fit(changed, error, message):
    with pytest.raises(error, match=f"^warp: {message}"):
        _native.warp(**arguments(**changed))
