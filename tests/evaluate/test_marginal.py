"""The average over members, views and draws, on nets whose answers are known beforehand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from striate.augment.view import View
from striate.data import ArraySamples, Preprocess, Samples
from striate.errors import StriateError
from striate.evaluate.marginal import Marginal, Member
from striate.evaluate.sampling import Sampling
from striate.evaluate.views import NAMED, Plan
from striate.nets import create_model
from striate.nets.layers import DropConnect, Dropout, DropPath, Swapout
from striate.nets.net import Net, NetSpec, Stage
from striate.train.looks import Looks, at_scale

BYTES = Preprocess(channels=3, size=(8, 8), mean=(0.0,) * 3, std=(1 / 255,) * 3)  # a byte b reads as b
CLASSES = ("dark", "bright")


class MeanPixel(Net):
    """p(bright) is the mean of what is seen, in units of 0…1: softmax of (log(1 − m), log m)."""

    stages = (Stage(name="noise", stride=8, channels=1),)

    def __init__(self, noise: nn.Module | None = None, gain: float = 1.0) -> None:
        super().__init__(NetSpec(name="mean_pixel", num_classes=2, in_chans=3, input_size=(8, 8)))
        self.noise = noise or nn.Identity()
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))

    def features(self, x: Tensor) -> Tensor:  # type: ignore[override]  # a method, as the contract allows
        return x.double().mean((1, 2, 3)) / 255 * self.gain

    def head(self, f: Tensor) -> Tensor:
        m: Tensor = self.noise(f[:, None]).clamp(1e-12, 1 - 1e-12)
        return torch.cat([1 - m, m], 1).log()


class Windows(Net):
    """One unpadded convolution, averaged: it slides in steps of a pixel."""

    stages = (Stage(name="conv", stride=1, channels=4),)

    def __init__(self) -> None:
        super().__init__(NetSpec(name="windows", num_classes=2, in_chans=3, input_size=(8, 8)))
        self.conv, self.pool = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)
        self.flatten, self.linear = nn.Flatten(), nn.Linear(4, 2)

    def features(self, x: Tensor) -> Tensor:  # type: ignore[override]  # a method, as the contract allows
        out: Tensor = self.conv(x / 255).relu()
        return out

    def head(self, f: Tensor) -> Tensor:
        out: Tensor = self.linear(self.flatten(self.pool(f)))
        return out


def member(net: Net | None = None, **changes: Any) -> Member:
    settings: dict[str, Any] = {"name": "mean_pixel", "classes": CLASSES, "preprocess": BYTES} | changes
    return Member(net=(net or MeanPixel()).eval(), **settings)


def bright(plan: Plan, images: NDArray[np.uint8], *members: Member, **settings: Any) -> NDArray[np.float64]:
    return marginal(plan, images, *members, **settings).probabilities[:, 1]


def marginal(plan: Plan, images: NDArray[np.uint8], *members: Member, workers: int = 0, **settings: Any) -> Any:
    samples = ArraySamples(images, np.zeros(len(images), np.int64))
    return Marginal(members or (member(),), plan, **settings).over(samples, workers=workers)


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (7, 20, 31, 3), np.uint8)


def test_a_single_view_is_the_centre_window() -> None:
    image = np.zeros((1, 8, 16, 3), np.uint8)
    image[:, :, 4:12] = 51
    assert bright(NAMED["none"], image) == pytest.approx([0.2])


def test_ten_crops_are_the_corners_the_centre_and_their_mirrors() -> None:
    """Columns of 0 … 15 times 17: the left window has mean 3.5 · 17, the right one 11.5 · 17, the centre 7.5 · 17."""
    image = np.broadcast_to((np.arange(16, dtype=np.uint8) * 17)[None, None, :, None], (1, 8, 16, 3))
    found = marginal(Plan(crops=10, scales=(8,)), np.ascontiguousarray(image))
    expected = 17 / 255 * (2 * 3.5 + 2 * 11.5 + 7.5) / 5
    assert found.probabilities[0, 1] == pytest.approx(expected, rel=1e-6)
    assert found.passes == 6  # the upper and lower corners coincide


def test_windows_that_coincide_are_one_pass(noise: NDArray[np.uint8]) -> None:
    square = np.ascontiguousarray(noise[:, :, :20])
    assert marginal(Plan(crops=10, scales=(8,)), square).passes == 2 * len(square)
    assert marginal(Plan(crops=10, scales=(16,)), square).passes == 10 * len(square)


def test_scales_are_pillows_resize_of_the_original(noise: NDArray[np.uint8]) -> None:
    expected = []
    for image in noise:
        means = []
        for side in (8, 12, 17):  # the short side; the long one is 31/20 of it
            width = round(31 * side / 20)
            base = np.asarray(Image.fromarray(image).resize((width, side), Image.Resampling.BILINEAR), float)
            top, left = (side - 8) // 2, (width - 8) // 2
            means.append(base[top : top + 8, left : left + 8].mean() / 255)
        expected.append(np.mean(means))
    assert bright(Plan(scales=(8, 12, 17)), noise) == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_averaged_and_not_logits() -> None:
    """Two windows with p = 0.1 and 0.9 by a view each: mean ½; the mean of the logits would say ½ only by symmetry."""
    image = np.zeros((1, 8, 16, 3), np.uint8)
    image[0, :, 8:] = 204  # p = 0 on the left (held at 10⁻¹²), 0.8 on the right, 0.4 in the centre
    expected = (2 * 1e-12 + 2 * 0.8 + 0.4) / 5
    assert bright(Plan(crops=5, scales=(8,)), image) == pytest.approx([expected], rel=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(noise: NDArray[np.uint8]) -> None:
    nets = [member(), member(MeanPixel(gain=0.5), name="half"), member(MeanPixel(gain=0.25), name="quarter")]
    alone = [bright(NAMED["50"], noise, net) for net in nets]
    found = marginal(NAMED["50"], noise, *nets)
    assert found.probabilities[:, 1] == pytest.approx(np.mean(alone, axis=0), rel=1e-12)
    assert found.probabilities.sum(1) == pytest.approx(1)
    assert (found.uncertainty.mutual_information > 0).all()


def test_members_may_keep_their_classes_in_another_order(noise: NDArray[np.uint8]) -> None:
    swapped = member(classes=("bright", "dark"))  # what it calls its first class is bright
    assert bright(Plan(), noise, member(), swapped) == pytest.approx(0.5)
    with pytest.raises(
        StriateError, match=r"^odd does not tell the same classes apart .*: 'bright' is known to one only$"
    ):
        marginal(Plan(), noise, member(), member(name="odd", classes=("dark", "grey")))


def test_members_may_read_other_sizes(noise: NDArray[np.uint8]) -> None:
    larger = member(preprocess=Preprocess(channels=3, size=(16, 16), mean=(0.0,) * 3, std=(1 / 255,) * 3))
    both = bright(NAMED["10"], noise, member(), larger)
    assert both == pytest.approx((bright(NAMED["10"], noise) + bright(NAMED["10"], noise, larger)) / 2)


@pytest.mark.parametrize("plan", ["none", "50"])
def test_neither_batch_nor_order_nor_threads_matter(noise: NDArray[np.uint8], plan: str) -> None:
    net = create_model("lenet5", num_classes=2, in_chans=3, input_size=(32, 32))
    asked = member(net, preprocess=Preprocess(channels=3, size=(32, 32), mean=(0.5,) * 3, std=(0.25,) * 3))
    first = marginal(NAMED[plan], noise, asked, batch_size=64).probabilities
    assert np.ptp(first[:, 0]) > 0
    for batch_size, workers in ((1, 0), (7, 3), (300, 2)):
        again = marginal(NAMED[plan], noise, asked, batch_size=batch_size, workers=workers).probabilities
        assert again == pytest.approx(first, abs=1e-6)  # float32 sums in another order
    backwards = marginal(NAMED[plan], noise[::-1], asked).probabilities
    assert backwards[::-1] == pytest.approx(first, abs=1e-6)


def test_dense_views_are_every_window(noise: NDArray[np.uint8]) -> None:
    """A net whose convolutions are not padded answers for every offset what it answers for the window cut there."""
    torch.manual_seed(0)
    net = Windows()
    asked = member(net, name="windows")
    found = bright(Plan(scales=(10,), dense=True), noise, asked)
    base = at_scale(BYTES, 10).base(noise[0])
    windows = np.stack([base[t : t + 8, x : x + 8] for t in range(3) for x in range(base.shape[1] - 7)])
    with torch.no_grad():
        expected = net(torch.from_numpy(windows).permute(0, 3, 1, 2).float()).softmax(1)[:, 1].mean()
    assert found[0] == pytest.approx(float(expected), rel=1e-5)


def test_dense_at_the_size_of_the_window_is_the_window(noise: NDArray[np.uint8]) -> None:
    asked, square = member(Windows(), name="windows"), np.ascontiguousarray(noise[:, :, :20])
    assert bright(Plan(crops=2, dense=True, scales=(8,)), square, asked) == pytest.approx(
        bright(NAMED["flip"], square, asked), abs=1e-6
    )


def test_a_net_that_cannot_slide_says_so(noise: NDArray[np.uint8]) -> None:
    with pytest.raises(StriateError, match=r"^mean_pixel has no maps to slide over: its features are "):
        marginal(NAMED["dense"], noise)


def test_samples_are_draws_of_the_noise_and_their_doubt_is_bald(noise: NDArray[np.uint8]) -> None:
    """Dropout of the one feature: a draw answers 0 (held at 10⁻¹²) or 2m·½ = m; entropies follow in closed form."""
    net = member(MeanPixel(nn.Dropout(0.5), gain=0.5))
    found = marginal(Plan(), noise, net, samples=64, seed=3)
    m = bright(Plan(), noise)
    ones = np.rint(found.probabilities[:, 1] / m * 64)
    assert found.probabilities[:, 1] == pytest.approx(m * ones / 64, rel=1e-6)
    assert abs(ones.sum() / (64 * len(m)) - 0.5) < 4 * math.sqrt(0.25 / (64 * len(m)))

    def h(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    total = h(m * ones / 64)
    assert found.uncertainty.entropy == pytest.approx(total, rel=1e-5)
    assert found.uncertainty.mutual_information == pytest.approx(total - h(m) * ones / 64, rel=1e-4)
    assert found.passes == 64 * len(m)


def test_draws_depend_on_seed_and_image_and_on_nothing_else(noise: NDArray[np.uint8]) -> None:
    net = member(MeanPixel(nn.Dropout(0.5), gain=0.5))
    first = bright(NAMED["10"], noise, net, samples=9, seed=1)
    torch.manual_seed(99)
    for batch_size, workers in ((1, 0), (7, 2), (1000, 1)):
        again = bright(NAMED["10"], noise, net, samples=9, seed=1, batch_size=batch_size, workers=workers)
        assert again == pytest.approx(first, rel=1e-9)
    assert bright(NAMED["10"], noise[:3], net, samples=9, seed=1) == pytest.approx(first[:3], rel=1e-9)
    assert not np.allclose(bright(NAMED["10"], noise, net, samples=9, seed=2), first)
    same = np.repeat(noise[:1], 5, 0)
    assert len(np.unique(bright(Plan(), same, net, samples=9).round(6))) > 1  # five images, five draws


@pytest.mark.parametrize(
    "layer",
    [nn.Dropout(0.5), nn.Dropout2d(0.5), Dropout(0.5), DropPath(0.5), DropPath(0.5, per="sample", scale="train")],
)
def test_every_noise_layer_is_sampled_row_by_row(layer: nn.Module) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), layer).eval()
    x = torch.ones(40, 3, 2, 2)
    with Sampling(net, seed=0) as drawn:
        assert [module.training for module in net.modules()] == [False, False, True]
        y = drawn(x, [0] * 40, list(range(40)))
        assert torch.equal(drawn(x[5:7], [0, 0], [5, 6]), y[5:7])
        assert not torch.equal(drawn(x, [1] * 40, list(range(40))), y)
    assert not any(module.training for module in net.modules())
    assert torch.equal(net[0].running_mean, torch.zeros(3))  # type: ignore[arg-type]  # a buffer
    assert len({tuple(row.flatten().tolist()) for row in y}) > 1


@pytest.mark.parametrize(
    ("layer", "kept", "level"),
    [
        (nn.Dropout(0.2), 0.8, 1.25),
        (Dropout(0.2), 0.8, 1.0),
        (nn.Dropout2d(0.7), 0.3, 1 / 0.3),
        (DropPath(0.1), 0.9, 1.0),
    ],
)
def test_draws_keep_with_the_layers_own_probability(layer: nn.Module, kept: float, level: float) -> None:
    """Of 4,000 rows of one value; five deviations of a Bernoulli mean."""
    rows = 4_000
    with Sampling(layer.eval(), seed=5) as drawn:
        y = drawn(torch.ones(rows, 1, 1, 1), [0] * rows, list(range(rows)))
    assert y.unique().tolist() == pytest.approx([0, level])
    assert float((y > 0).float().mean()) == pytest.approx(kept, abs=5 * math.sqrt(kept * (1 - kept) / rows))


def test_dropconnect_and_swapout_are_sampled() -> None:
    layer = DropConnect(6, 3)
    with Sampling(layer.eval()) as drawn:
        y = drawn(torch.ones(5, 6), [0] * 5, [0, 1, 2, 3, 0])
    assert torch.equal(y[0], y[4])
    assert not torch.equal(y[0], y[1])

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.swap = Swapout(0.5, 0.5)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.swap(x, 2 * x)
            return out

    with Sampling(Both().eval()) as drawn:
        assert drawn(torch.ones(4, 50), [0, 1, 2, 3], [0] * 4).unique().tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_net_without_noise_has_nothing_to_sample(noise: NDArray[np.uint8]) -> None:
    message = (
        "^mean_pixel has no dropout, DropConnect, stochastic depth or swapout to sample from; leave out the samples$"
    )
    with pytest.raises(StriateError, match=message):
        marginal(Plan(), noise, samples=2)
    with pytest.raises(StriateError, match=message):
        marginal(Plan(), noise, member(MeanPixel(nn.Dropout(0.0))), samples=2)
    with pytest.raises(StriateError, match=r"^samples is -1; give how many nets to draw, or 0 for the average net$"):
        marginal(Plan(), noise, samples=-1)


def test_nothing_and_one(noise: NDArray[np.uint8]) -> None:
    with pytest.raises(StriateError, match=r"^no images to evaluate: the part is empty$"):
        marginal(Plan(), noise[:0])
    with pytest.raises(StriateError, match=r"^an ensemble of no members has no answer; give at least one model$"):
        Marginal(())
    assert bright(NAMED["50"], noise[:1]) == pytest.approx(bright(NAMED["50"], noise)[:1], rel=1e-9)


def test_nan_is_said_with_the_net_and_the_image(noise: NDArray[np.uint8]) -> None:
    with pytest.raises(StriateError, match=r"^sick answers 0 with NaN: its weights are damaged, or its training div"):
        marginal(Plan(), noise, member(), member(MeanPixel(gain=math.nan), name="sick"))


def test_a_file_that_cannot_be_read_is_named() -> None:
    class Gone(Samples):
        labels = np.zeros(1, np.int64)

        def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
            raise FileNotFoundError(2, "No such file or directory")

        def name(self, i: int) -> str:
            return "photos/gone.jpg"

        key = name

        def subset(self, indices: Any) -> Any:
            return self

    with pytest.raises(StriateError, match=r"^cannot read photos/gone\.jpg: No such file or directory$"):
        Marginal((member(),)).over(Gone())


def test_looks_refuse_weights_that_are_no_shares() -> None:
    with pytest.raises(StriateError, match=r"^the weights of 2 views sum to 0\.75; they are shares, and sum to 1$"):
        Looks(BYTES, [View(weight=0.5), View(weight=0.25)])
    with pytest.raises(
        StriateError, match=r"^a view of 7 px is smaller than the 8 px that the net reads; give a larger"
    ):
        Looks(BYTES, [View(short_side=7)])


def test_windows_that_are_not_square_scale_in_their_own_shape() -> None:
    tall = Preprocess(channels=1, size=(12, 8), mean=(0.0,), std=(1.0,))
    assert at_scale(tall, 16).base(np.zeros((90, 60, 1), np.uint8)).shape == (24, 16, 1)
    squashed = Preprocess(channels=1, size=(8, 8), resize="squash", mean=(0.0,), std=(1.0,))
    assert at_scale(squashed, 16).base(np.zeros((90, 60, 1), np.uint8)).shape == (16, 16, 1)
