"""Windows against torch's own output sizes, the lectures' numbers, and the text of every refusal."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.arithmetic import DoesNotFit, Window
from striate.errors import StriateError

sizes = st.integers(1, 40)
kernels = st.integers(1, 7)
strides = st.integers(1, 5)
dilations = st.integers(1, 3)


@settings(deadline=None)
@given(n=sizes, kernel=kernels, stride=strides, padding=st.integers(0, 6), dilation=dilations)
def test_out_is_the_size_that_torch_convolves_to(n: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    window = Window(kernel, stride=stride, padding=padding, dilation=dilation)
    x, w = torch.empty(1, 1, n, device="meta"), torch.empty(1, 1, kernel, device="meta")
    try:
        expected = F.conv1d(x, w, stride=stride, padding=padding, dilation=dilation).shape[-1]
    except RuntimeError:
        with pytest.raises(DoesNotFit):
            window.out(n)
    else:
        assert window.out(n) == expected


@settings(deadline=None)
@given(n=sizes, kernel=kernels, stride=strides, half=st.floats(0, 0.5), dilation=dilations, ceil_mode=st.booleans())
def test_out_is_the_size_that_torch_pools_to(
    n: int, kernel: int, stride: int, half: float, dilation: int, ceil_mode: bool
) -> None:
    padding = int(kernel * half)  # torch pads a pool by half its kernel at most
    window = Window(kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    try:
        pooled = F.max_pool2d(torch.zeros(1, 1, n, n), kernel, stride, padding, dilation, ceil_mode)
    except RuntimeError:
        with pytest.raises(DoesNotFit):
            window.out(n)
    else:
        assert window.out(n) == pooled.shape[-1]


@given(n=sizes, kernel=kernels, stride=strides, low=st.integers(0, 4), high=st.integers(0, 4), dilation=dilations)
def test_out_counts_the_places_where_the_window_lies_inside(
    n: int, kernel: int, stride: int, low: int, high: int, dilation: int
) -> None:
    window = Window(kernel, stride=stride, padding=(low, high), dilation=dilation)
    last = dilation * (kernel - 1)
    places = [start for start in range(0, low + n + high, stride) if start + last < low + n + high]
    if places:
        assert window.out(n) == len(places)
        assert n >= window.smallest
    else:
        assert n < window.smallest
        with pytest.raises(DoesNotFit):
            window.out(n)


@given(n=sizes, kernel=kernels, stride=strides, low=st.integers(0, 3), high=st.integers(0, 3))
def test_exact_refuses_only_what_leaves_pixels_over_and_its_advice_fits(
    n: int, kernel: int, stride: int, low: int, high: int
) -> None:
    window = Window(kernel, stride=stride, padding=(low, high))
    span = n + low + high - kernel
    if span < 0 or span % stride == 0:
        return
    with pytest.raises(DoesNotFit) as refused:
        window.out(n, exact=True)
    advice = str(refused.value).partition("; use stride ")[2]
    advised, _, padding = advice.partition(", or padding (")
    for other in map(int, advised.split(" or ")):
        Window(kernel, stride=other, padding=(low, high)).out(n, exact=True)
    wider = tuple(map(int, padding.rstrip(")").split(", ")))
    Window(kernel, stride=stride, padding=(wider[0], wider[1])).out(n, exact=True)


@given(n=sizes, kernel=kernels, dilation=dilations, padding=st.integers(0, 3))
def test_the_padding_advised_for_a_small_input_fits(n: int, kernel: int, dilation: int, padding: int) -> None:
    window = Window(kernel, padding=padding, dilation=dilation)
    if n >= window.smallest:
        return
    with pytest.raises(DoesNotFit) as refused:
        window.out(n)
    low, high = map(int, str(refused.value).rpartition("padding (")[2].partition(")")[0].split(", "))
    assert Window(kernel, padding=(low, high), dilation=dilation).out(n) == 1


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 2), (7, 3)])
def test_half_the_kernel_keeps_the_size(kernel: int, padding: int) -> None:
    assert [Window(kernel, padding=padding).out(n) for n in (1, 7, 32)] == [1, 7, 32]


def test_one_number_pads_both_sides() -> None:
    assert Window(3, padding=1) == Window(3, padding=(1, 1))
    assert hash(Window(3, padding=1)) == hash(Window(3, padding=(1, 1)))


def test_the_blackboard_example_says_what_would_fit() -> None:
    with pytest.raises(DoesNotFit) as refused:
        Window(3, stride=3).out(7, exact=True)
    assert str(refused.value) == (
        "7 px do not fit kernel 3, stride 3: (7 − 3) / 3 + 1 = 2.33; use stride 2 or 4, or padding (1, 1)"
    )


def test_a_window_larger_than_its_input_says_what_would_fit() -> None:
    with pytest.raises(DoesNotFit) as refused:
        Window(5, stride=2, padding=(1, 0)).out(2)
    assert str(refused.value) == (
        "2 px do not fit kernel 5, stride 2, padding (1, 0): it needs at least 4 px; "
        "use kernel 3, padding (2, 1) or a larger input"
    )
    with pytest.raises(DoesNotFit, match=r"^0 px do not fit kernel 1, stride 1: an input has at least 1 px$"):
        Window(1).out(0)
    with pytest.raises(DoesNotFit, match=r"^4 px do not fit kernel 3, stride 1, dilation 2: it needs at least 5 px"):
        Window(3, dilation=2).out(4)


def test_does_not_fit_is_for_the_user_and_a_value_error() -> None:
    assert issubclass(DoesNotFit, StriateError)
    assert issubclass(DoesNotFit, ValueError)


@pytest.mark.parametrize("impossible", [{"stride": 0}, {"dilation": 0}, {"padding": -1}, {"padding": (0, -1)}])
def test_impossible_windows_are_refused(impossible: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Window(3, **impossible)
    with pytest.raises(ValueError, match="at least 1 px"):
        Window(0)
