"""Costs against the slides' numbers and against torch's own parameter counts."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from striate.arithmetic import Cost, conv, linear, pool

VGG_D = [  # CS231n's table of VGG-16: maps in, maps out, output px, weights
    (3, 64, 224, 1_728),
    (64, 64, 224, 36_864),
    (64, 128, 112, 73_728),
    (128, 128, 112, 147_456),
    (128, 256, 56, 294_912),
    (256, 256, 56, 589_824),
    (256, 512, 28, 1_179_648),
    (512, 512, 28, 2_359_296),
]


@pytest.mark.parametrize(("maps_in", "maps_out", "side", "weights"), VGG_D)
def test_rows_of_the_vgg_table(maps_in: int, maps_out: int, side: int, weights: int) -> None:
    cost = conv(maps_in, maps_out, kernel=(3, 3), out=(side, side), bias=False)
    assert cost == Cost(params=weights, macs=weights * side * side)


def test_fully_connected_rows_of_the_vgg_table() -> None:
    rows = [linear(7 * 7 * 512, 4096, bias=False), linear(4096, 4096, bias=False), linear(4096, 1000, bias=False)]
    assert [row.params for row in rows] == [102_760_448, 16_777_216, 4_096_000]
    assert [row.macs for row in rows] == [102_760_448, 16_777_216, 4_096_000]


@pytest.mark.parametrize("maps", [1, 16, 64])
def test_one_7x7_costs_49_and_three_3x3_cost_27(maps: int) -> None:
    out = (10, 12)
    large = conv(maps, maps, kernel=(7, 7), out=out, bias=False)
    small = conv(maps, maps, kernel=(3, 3), out=out, bias=False)
    assert large == Cost(params=49 * maps**2, macs=49 * 120 * maps**2)
    assert small + small + small == Cost(params=27 * maps**2, macs=27 * 120 * maps**2)


@settings(deadline=None)
@given(
    groups=st.integers(1, 4),
    d1=st.integers(1, 5),
    d2=st.integers(1, 5),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    bias=st.booleans(),
)
def test_parameters_are_those_torch_makes(groups: int, d1: int, d2: int, kernel: tuple[int, int], bias: bool) -> None:
    layer = nn.Conv2d(d1 * groups, d2 * groups, kernel, groups=groups, bias=bias, device="meta")
    cost = conv(d1 * groups, d2 * groups, kernel=kernel, out=(1, 1), groups=groups, bias=bias)
    assert cost.params == sum(p.numel() for p in layer.parameters())
    assert cost.macs == layer.weight.numel()


def test_pools_are_free() -> None:
    assert pool() == Cost(params=0, macs=0)
    assert pool() + linear(2, 3) == linear(2, 3) == Cost(params=9, macs=6)


def test_the_room_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, striate.arithmetic; "
        "print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)), "
        "sorted(m for m in sys.modules if m.startswith('striate.') and 'arithmetic' not in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['striate.errors']"
