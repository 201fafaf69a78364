"""Receptive fields against published ones, against torch's gradients, and the algebra of joins."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.arithmetic import PIXEL, Field, TransposedWindow, Window, hull
from striate.arithmetic.receptive import chain

windows = st.builds(
    Window, st.integers(1, 5), stride=st.integers(1, 3), padding=st.integers(0, 2), dilation=st.integers(1, 3)
)


def seen_by(layers: list[Window], n: int, unit: int) -> tuple[int, int] | None:
    """First and last pixel that unit `unit` sees of an image that is padded as far as it goes: by gradients."""
    x = torch.zeros(1, 1, n, requires_grad=True)
    y = x
    for window in layers:
        y = F.conv1d(y, torch.ones(1, 1, window.kernel), stride=window.stride, dilation=window.dilation)
    if unit >= y.shape[-1]:
        return None
    y[0, 0, unit].backward()
    assert x.grad is not None
    at = x.grad[0, 0].nonzero().flatten()
    return int(at[0]), int(at[-1])


@settings(deadline=None)
@given(layers=st.lists(windows, min_size=1, max_size=4), unit=st.integers(0, 3))
def test_a_chain_sees_what_gradients_say(layers: list[Window], unit: int) -> None:
    """Without padding, which only shifts the start by what `chain` subtracts for it."""
    bare = [Window(w.kernel, stride=w.stride, dilation=w.dilation) for w in layers]
    field = chain(*bare)[-1]
    found = seen_by(bare, int(field.size + 4 * field.jump) + 1, unit)
    assert found is not None
    assert found == (field.start + unit * field.jump, field.start + unit * field.jump + field.size - 1)
    shift = sum(w.low * before.jump for w, before in zip(layers, [PIXEL, *chain(*bare)], strict=False))
    assert chain(*layers)[-1] == Field(size=field.size, jump=field.jump, start=-shift)


def test_alexnets_pool5_sees_195_px() -> None:
    """Araujo 2019, table 1: AlexNet v2 (one weird trick) 195."""
    pool = Window(3, stride=2)
    three = [Window(3, padding=1)] * 3
    net = [Window(11, stride=4, padding=2), pool, Window(5, padding=2), pool, *three, pool]
    assert chain(*net)[-1].size == 195


@pytest.mark.parametrize(("blocks", "size"), [((3, 4, 6, 3), 483), ((3, 4, 23, 3), 1027), ((3, 8, 36, 3), 1507)])
def test_resnets_of_the_paper(blocks: tuple[int, ...], size: int) -> None:
    """Araujo 2019, table 1: ResNet v1 with 50, 101 and 152 layers; the stride is on the first 1×1."""
    net = [Window(7, stride=2, padding=3), Window(3, stride=2, padding=1)]
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage and not block else 1
            net += [Window(1, stride=stride), Window(3, padding=1), Window(1)]
    assert chain(*net)[-1].size == size


@settings(deadline=None)
@given(kernel=st.integers(1, 7), stride=st.integers(1, 4), padding=st.integers(0, 2), dilation=st.integers(1, 2))
def test_a_transposed_window_sees_on_average_what_gradients_say(
    kernel: int, stride: int, padding: int, dilation: int
) -> None:
    window = TransposedWindow(kernel, stride=stride, padding=padding, dilation=dilation)
    if window.extent < stride or (stride > 1 and dilation > 1):
        return  # outputs that see nothing, or taps that skip inputs: there is no one size then
    n = 30  # no unit in the middle meets the border
    x = torch.zeros(1, 1, n, requires_grad=True)
    y = F.conv_transpose1d(x, torch.ones(1, 1, kernel), stride=stride, padding=padding, dilation=dilation)
    middle = y.shape[-1] // 2
    counts = []
    for unit in range(middle, middle + stride):  # one period
        (grad,) = torch.autograd.grad(y[0, 0, unit], x, retain_graph=True)
        at = grad[0, 0].nonzero().flatten()
        counts.append((int(at[0]), int(at[-1])))
    field = PIXEL.through(window)
    assert sum(Fraction(last - first + 1) for first, last in counts) / stride == field.size
    centres = sum(Fraction(first + last + 1, 2) for first, last in counts) / stride
    assert centres == field.centre + (middle + Fraction(stride - 1, 2)) * field.jump


def test_joins_take_the_hull() -> None:
    residual = PIXEL.through(Window(3, padding=1)).through(Window(3, padding=1))
    assert hull([residual, PIXEL], n=10) == residual
    beside = Field(size=3, jump=1, start=4)
    assert hull([PIXEL, beside], n=10) == Field(size=7, jump=1, start=0)
    still = Field(size=5, jump=0, start=0)
    joined = hull([PIXEL, still], n=5)
    assert joined.jump == 1
    for unit in range(5):
        assert joined.start + unit <= 0
        assert joined.start + unit + joined.size >= 5


def test_upsampling_gives_fractions_and_convolution_after_it_whole_pixels() -> None:
    up = PIXEL.resized(2, taps=1)
    assert up.jump == Fraction(1, 2)
    assert up.through(Window(3)).size == 2
    assert PIXEL.resized(2, taps=2).pixels == 2
    assert PIXEL.resized(1, taps=1) == PIXEL
