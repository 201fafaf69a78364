"""DropConnect, stochastic depth and Swapout: both halves of each noise, and that they agree on average."""

import pytest
import torch

from striate.errors import StriateError
from striate.nets.layers import DropConnect, DropPath, Swapout, linear_decay

MANY = 40_000


def test_dropconnect_means_and_variances() -> None:
    torch.manual_seed(0)
    layer = DropConnect(6, 3, p=0.3).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(1, 6, dtype=torch.float64)
    drawn = layer(x.expand(MANY, 6)).detach()
    mean, variance = (moment.detach()[0] for moment in layer.moments(x))
    error = (variance / MANY).sqrt()
    assert ((drawn.mean(0) - mean).abs() < 5 * error).all()
    torch.testing.assert_close(drawn.var(0), variance, rtol=0.05, atol=0)
    assert torch.equal(layer.eval()(x)[0], mean)


def test_dropconnect_gaussian_is_nearer_to_the_average_over_masks() -> None:
    """Wan 2013, §3: the mean of relu(y) is not the relu of the mean; 400 inputs make y nearly normal."""
    torch.manual_seed(1)
    mean = DropConnect(400, 8, p=0.5, relu=True)
    x = torch.randn(1, 400)
    with torch.no_grad():
        average = mean(x.expand(8_000, 400)).mean(0)
        gaussian = DropConnect(400, 8, p=0.5, relu=True, inference="gaussian")
        gaussian.load_state_dict(mean.state_dict())
        errors = [float((layer.eval()(x)[0] - average).abs().max()) for layer in (gaussian, mean)]
    assert errors[0] < 0.05
    assert errors[0] < 0.2 * errors[1]


def test_dropconnect_without_noise_is_a_linear_layer() -> None:
    x = torch.randn(5, 4)
    layer = DropConnect(4, 2, p=0.0, relu=True, inference="gaussian")
    torch.testing.assert_close(layer(x), layer.eval()(x))
    torch.testing.assert_close(layer(x), (x @ layer.weight.T).relu())
    assert not layer(torch.zeros(1, 4)).isnan().any()
    with pytest.raises(StriateError, match=r"p is a probability, at least 0 and below 1, got 1"):
        DropConnect(2, 2, p=1)
    with pytest.raises(StriateError, match=r"unknown inference 'gausian'; did you mean 'gaussian'"):
        DropConnect(2, 2, inference="gausian")


@pytest.mark.parametrize("scale", ["test", "train"])
@pytest.mark.parametrize("per", ["batch", "sample"])
def test_drop_path(per: str, scale: str) -> None:
    torch.manual_seed(2)
    layer, x = DropPath(0.25, per=per, scale=scale), torch.ones(64, 3, 2, 2)
    kept = torch.stack([layer(x) for _ in range(400)])  # draws × images × …
    level = 1.0 if scale == "test" else 4 / 3
    assert kept.unique().tolist() == pytest.approx([0.0, level])
    assert torch.equal(kept, kept[:, :, :1, :1, :1].expand_as(kept))  # the whole branch of an image, or nothing
    together = torch.equal(kept, kept[:, :1].expand_as(kept))
    assert together == (per == "batch")
    assert float((kept > 0).float().mean()) == pytest.approx(0.75, abs=0.1)  # 400 draws or more: four deviations
    expected = 0.75 if scale == "test" else 1.0
    assert torch.equal(layer.eval()(x), x * expected)  # the mean of what training gives


def test_survival_falls_linearly() -> None:
    """Huang 2016, §4: p_L = 0.5 over 54 blocks keeps 54·3/4 of them, "approximately 40", on average."""
    kept = sum(1 - linear_decay(0.5, block, 54) for block in range(1, 55))
    assert 40 <= kept <= 41
    with pytest.raises(StriateError, match="the probability to drop a path is at least 0 and below 1, got 1"):
        DropPath(1.0)
    with pytest.raises(StriateError, match="unknown per 'image'"):
        DropPath(0.1, per="image")


def test_swapout() -> None:
    torch.manual_seed(3)
    layer = Swapout(0.8, 0.4)
    x, f = torch.full((MANY,), 1.0), torch.full((MANY,), 10.0)
    y = layer(x, f)
    counts = {value: float((y == value).float().mean()) for value in y.unique().tolist()}
    assert counts == pytest.approx({0.0: 0.12, 1.0: 0.48, 10.0: 0.08, 11.0: 0.32}, abs=0.01)
    torch.testing.assert_close(layer.eval()(x, f), torch.full((MANY,), 4.8))
    stochastic = Swapout(0.8, 0.4, inference="stochastic").eval()
    assert float(stochastic(x, f).mean()) == pytest.approx(4.8, abs=0.15)
    assert len(stochastic(x, f).unique()) == 4


def test_swapout_holds_dropout_and_resnets() -> None:
    x, f = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(Swapout(1, 1)(x, f), x + f)
    dropped = Swapout(0, 0.5)(x, f)
    assert ((dropped == f) | (dropped == 0)).all()
    with pytest.raises(StriateError, match=r"keep_residual is a probability, from 0 to 1, got 1.5"):
        Swapout(1, 1.5)
    with pytest.raises(StriateError, match="unknown inference 'random'"):
        Swapout(1, 1, inference="random")
