"""Convolutions in bfloat16: against float64 fed the same bfloat16 numbers, on every unit that multiplies them here."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from striate import _native
from striate.conv import (
    ConvShape,
    WrongShape,
    accelerate,
    acceleration,
    conv2d,
    from_blocked,
    plan,
    refusal,
    to_blocked,
)
from striate.conv.choose import MAX_RELATIVE_ERROR_BF16, error_bound, measured

UNITS = _native.bfloat16_units()
NAMES = _native.bfloat16_algorithms()


def _random(*size: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return (scale * torch.randn(size, generator=torch.Generator().manual_seed(seed))).bfloat16()


def _within(result: torch.Tensor, wanted: torch.Tensor, sizes: torch.Tensor, bound: float) -> None:
    """|error| ≤ bound · 2⁻²⁴ · the largest sum of absolute products."""
    assert result.dtype == torch.bfloat16
    assert (result.double() - wanted).abs().max().item() <= bound * 2.0**-24 * sizes.max().item()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    unit=st.sampled_from(UNITS),
    batch=st.integers(1, 3),
    maps=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1), (5, 2)]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    layouts=st.tuples(*[st.sampled_from(["nchw", "channels_last", "blocked"])] * 2),
    threads=st.integers(1, 3),
    mean=st.sampled_from([0.0, 30.0]),
)
def test_forward_is_within_its_bound(
    name, unit, batch, maps, size, kernel, stride, padding, layouts, threads, mean
) -> None:
    x = (_random(batch, maps[0], *size, seed=1) + mean).bfloat16()
    w, bias = _random(maps[1], maps[0], *kernel, seed=2), _random(maps[1], seed=3)
    if any(n + 2 * padding < k for n, k in zip(size, kernel, strict=True)):
        return
    shape = ConvShape.of(x.shape, w.shape, stride=stride, padding=padding)
    from_, to = layouts
    if refusal(name, "forward", shape, from_, to, "bfloat16"):
        return
    prepared = plan(shape, name, from_layout=from_, to_layout=to, threads=threads, isa=unit, element="bfloat16")
    given_x = to_blocked(x) if from_ == "blocked" else x
    y = prepared.run(given_x, prepared.pack(w), bias=bias)
    y = from_blocked(y, maps[1]) if to == "blocked" else y
    wanted = functional.conv2d(x.double(), w.double(), bias.double(), stride, padding)
    sizes = functional.conv2d(x.double().abs(), w.double().abs(), bias.double().abs(), stride, padding)
    _within(y, wanted, sizes, error_bound(shape, "forward", name, "bfloat16"))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", NAMES)
def test_units_agree_but_for_order(name: str, unit: str) -> None:
    kernel = 1 if name == "pointwise" else 3
    shape = ConvShape.of((2, 40, 13, 11), (24, 40, kernel, kernel), padding=kernel // 2)
    x, w, residual = _random(*shape.images, seed=4), _random(*shape.filters, seed=5), _random(*shape.result, seed=6)
    results = [
        plan(shape, name, isa=isa, element="bfloat16").run(x, w, residual=residual, relu=True)  # type: ignore[arg-type]
        for isa in (unit, "portable")
    ]
    difference = (results[0].float() - results[1].float()).abs().max().item()
    # sums in another order differ in float32, so single roundings may fall to the other side
    assert difference <= 2**-6 * results[1].abs().max().item()
    assert (results[0] != results[1]).float().mean().item() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name: str) -> None:
    kernel = 1 if name == "pointwise" else 3
    x, w = _random(2, 33, 9, 10, seed=7).requires_grad_(), _random(17, 33, kernel, kernel, seed=8).requires_grad_()
    bias = _random(17, seed=9).requires_grad_()
    y = conv2d(x, w, bias, padding=kernel // 2, algorithm=name)
    gradient = _random(*y.shape, seed=10)
    y.backward(gradient)
    wide = [t.detach().double().requires_grad_() for t in (x, w, bias)]
    functional.conv2d(*wide, padding=kernel // 2).backward(gradient.double())
    for ours, theirs in zip((x, w, bias), wide, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert ours.grad.dtype == torch.bfloat16
        assert (ours.grad.double() - theirs.grad).abs().max() <= MAX_RELATIVE_ERROR_BF16 * theirs.grad.abs().max()


def test_second_derivatives_exist() -> None:
    x, w = _random(1, 4, 6, 6, seed=1).requires_grad_(), _random(4, 4, 3, 3, seed=2).requires_grad_()
    (dx,) = torch.autograd.grad(conv2d(x, w, padding=1, algorithm="winograd2").square().sum(), x, create_graph=True)
    (d2w,) = torch.autograd.grad(dx.sum(), w)
    assert d2w.shape == w.shape
    assert d2w.isfinite().all()


def test_nan_and_infinity_reach_what_sees_them() -> None:
    x, w = _random(1, 3, 8, 8, seed=1), _random(5, 3, 3, 3, seed=2)
    x[0, 1, 4, 4], x[0, 0, 0, 0] = float("nan"), float("inf")
    for name in NAMES:
        if name == "pointwise":
            continue
        y = conv2d(x, w, padding=1, algorithm=name)
        assert y[0, :, 3:6, 3:6].isnan().all(), name
        assert not y[0, :, :2, :2].isfinite().any(), name


def test_an_algorithm_without_bfloat16_goes_by_float32() -> None:
    x, w = _random(1, 3, 8, 8, seed=1), _random(5, 3, 3, 3, seed=2)
    y = conv2d(x, w, padding=1, algorithm="fft")
    assert torch.equal(y, conv2d(x.float(), w.float(), padding=1, algorithm="fft").bfloat16())
    shape = ConvShape.of(x.shape, w.shape, padding=1)
    why = "does not compute in bfloat16; direct, im2col_packed, pointwise, winograd2, winograd4 do"
    assert refusal("fft", "forward", shape, element="bfloat16") == why
    with pytest.raises(WrongShape, match="it does not compute in bfloat16"):
        plan(shape, "fft", element="bfloat16")


def test_the_wrong_dtype_is_named() -> None:
    shape = ConvShape.of((1, 3, 8, 8), (5, 3, 3, 3))
    prepared = plan(shape, "winograd4", element="bfloat16")
    with pytest.raises(WrongShape, match=r"the images must be bfloat16\[1, 3, 8, 8\] on the CPU, not float32"):
        prepared.run(torch.ones(1, 3, 8, 8), torch.ones(5, 3, 3, 3))
    with pytest.raises(ValueError, match="is not a bfloat16 unit of this machine; choose from portable"):
        plan(shape, "winograd4", element="bfloat16", isa="avx1024")  # type: ignore[arg-type]


def test_measured_in_bfloat16_beside_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIATE_CONV_CACHE", "")
    shape = ConvShape.of((1, 35, 10, 10), (34, 35, 3, 3), padding=1)
    known = measured(shape, "forward", with_torch=True, element="bfloat16")
    assert set(known) == {"direct", "im2col_packed", "winograd2", "winograd4", "torch"}
    assert all(m.relative_error < MAX_RELATIVE_ERROR_BF16 for m in known.values())
    assert known["im2col_packed"].relative_error < 2**-8


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))


def _choose_winograd4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every forward pass takes it, whatever is fastest."""
    measure = acceleration.measured

    def known(shape, pass_, **settings):
        found = measure(shape, pass_, **settings)
        slow = replace(found["torch"], seconds=1e9, packed_seconds=1e9)
        return {**{n: m for n, m in found.items() if n == "winograd4"}, "torch": slow}

    monkeypatch.setattr(acceleration, "measured", known)
    monkeypatch.setattr(acceleration, "LEAST_GAIN", 0.0)


@pytest.mark.parametrize("by_autocast", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_accelerate_takes_bfloat16(monkeypatch: pytest.MonkeyPatch, by_autocast: bool, training: bool) -> None:
    _choose_winograd4(monkeypatch)
    net, x = _net().train(training), torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    if not by_autocast:
        net, x = net.bfloat16(), x.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=by_autocast):
        before = net(x)
        done = accelerate(net, x, verbose=False, max_rel_error_bf16=0.05)
        assert [(layer.passes.element, layer.passes.forward) for layer in done.layers] == [
            ("bfloat16", "winograd4")
        ] * 2
        after = net(x)
    assert after.dtype == before.dtype == torch.bfloat16
    assert (after.float() - before.float()).abs().max() <= 0.05 * before.float().abs().max()
    if training:
        after.float().sum().backward()
        assert all(p.grad is not None and p.grad.dtype == p.dtype for p in net.parameters())
    done.restore()
    assert all(type(m) in (nn.Sequential, nn.Conv2d, nn.ReLU) for m in net.modules())
