"""Noises: every offset reachable and uniform, flips as often as asked, samples and epochs independent of one another.

The tests are on fixed seeds, so each either always passes or always fails. Chi-square thresholds are the distribution's
own, at a one-in-a-million tail: an honest draw is not expected to meet it in any of these tests, ever.
"""

import math

import numpy as np
import pytest

from striate.augment import (
    ColorJitter,
    HorizontalFlip,
    PadCrop,
    Policy,
    RandomResizedCrop,
    RandomScaleCrop,
    View,
)
from striate.augment.draw import below, chance
from striate.data.warped import whole_windows
from striate.errors import StriateError

MANY = 40_000


def windows(policy: Policy, *, seed=0, epoch=0, count=MANY, size=(32, 32), out=(32, 32)) -> np.ndarray:
    return policy.windows(seed, epoch, np.arange(count), np.broadcast_to(np.int32([size]), (count, 2)), out)


# ----------------------------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("n", [1, 2, 3, 7, 9, 255, 256, 1000, 2**31 - 1])
def test_below_cuts_the_words_into_n_intervals_of_equal_length(n):
    assert below(np.array([0, 2**32 - 1], np.uint32), n).tolist() == [0, n - 1]
    for value in {1, n // 2, n - 1} - {0, n}:
        first = -(-value * 2**32 // n)  # the first word of the value's interval
        assert below(np.array([first - 1, first], np.uint32), n).tolist() == [value - 1, value]


@pytest.mark.parametrize("n", [3, 5, 9, 100])
def test_below_is_biased_by_less_than_two_to_the_minus_32(n):
    owned = [-(-(v + 1) * 2**32 // n) - -(-v * 2**32 // n) for v in range(n)]  # words that give each value
    assert sum(owned) == 2**32
    assert max(abs(k / 2**32 - 1 / n) for k in owned) < 2**-32


def test_chance_never_at_zero_and_always_at_one():
    words = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    assert not chance(words, 0.0).any()
    assert chance(words, 1.0).all()


# --------------------------------------------------------------------------------------------------------- PadCrop


@pytest.mark.parametrize(
    ("padding", "size", "out"),
    [(4, (32, 32), (32, 32)), (0, (24, 30), (20, 20)), (2, (8, 11), (8, 9)), (1, (3, 3), (1, 5))],
)
def test_every_place_of_a_crop_is_equally_likely(padding, size, out, assert_uniform):
    drawn = windows(Policy((PadCrop(padding),)), size=size, out=out)
    rows, columns = (size[axis] + 2 * padding - out[axis] + 1 for axis in (0, 1))
    top, left = drawn[:, 0] + padding, drawn[:, 1] + padding
    assert (top.min(), top.max()) == (0, rows - 1)
    assert (left.min(), left.max()) == (0, columns - 1)
    assert_uniform(top.astype(np.int64) * columns + left, rows * columns)  # jointly: the axes are independent too
    assert not drawn[:, 2].any()


def test_each_image_is_slid_along_its_own_size(assert_uniform):
    sizes = np.array([[10, 10], [10, 40], [25, 10]] * 2000, np.int32)
    drawn = Policy((PadCrop(0),)).windows(3, 1, np.arange(6000), sizes, (10, 10))
    assert not drawn[0::3, :2].any()
    assert_uniform(drawn[1::3, 1], 31)
    assert not drawn[1::3, 0].any()
    assert_uniform(drawn[2::3, 0], 16)
    assert not drawn[2::3, 1].any()


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"seed": 2**63}])
def test_another_seed_or_epoch_draws_independently(other, assert_uniform):
    policy = Policy((PadCrop(1),))
    first, second = (windows(policy, **which)[:, :2] + 1 for which in ({}, other))
    pairs = (first[:, 0] * 3 + first[:, 1]) * 9 + second[:, 0] * 3 + second[:, 1]
    assert_uniform(pairs, 81)


def test_neighbouring_samples_draw_independently(assert_uniform):
    drawn = windows(Policy((PadCrop(1),)))[:, :2] + 1
    place = drawn[:, 0] * 3 + drawn[:, 1]
    assert_uniform(place[0::2] * 9 + place[1::2], 81)


def test_a_crop_that_the_padded_image_does_not_cover_is_one_clear_line():
    sizes = np.array([[32, 32], [20, 28]], np.int32)
    with pytest.raises(StriateError, match=r"image of 20×28 px with 2 px of padding does not cover a crop of 28×28 px"):
        Policy((PadCrop(2),)).windows(0, 0, np.arange(2), sizes, (28, 28))


@pytest.mark.parametrize("noises", [(PadCrop(2), HorizontalFlip()), (HorizontalFlip(), PadCrop(2))], ids=str)
def test_windows_are_the_maps_whatever_comes_first(noises):
    """Adding a colour to a policy turns its windows to maps, and should change nothing but the colour."""
    policy, size, out = Policy(noises), (19, 24), (16, 17)
    frame = np.array([[1, 0, 3], [0, 1, 1], [0, 0, 1.0]])  # the middle of 19×24, as `windows` takes it
    drawn = policy.draws(0, 0, np.arange(500), np.full((500, 2), size, np.int32), out, np.tile(frame, (500, 1, 1)))
    assert np.array_equal(whole_windows(drawn.geometry, out[1]), windows(policy, count=500, size=size, out=out))


@pytest.mark.parametrize("padding", [-1, 1.5, "4"])
def test_a_padding_that_is_no_number_of_pixels(padding):
    with pytest.raises(StriateError, match=r"PadCrop: padding is .*; give whole pixels, 0 or more"):
        PadCrop(padding)


# ------------------------------------------------------------------------------------------------------------ flip


@pytest.mark.parametrize("p", [0.5, 0.1, 0.97])
def test_flips_come_as_often_as_asked(p):
    flips = windows(Policy((HorizontalFlip(p),)))[:, 2]
    assert set(flips.tolist()) == {0, 1}
    deviation = math.sqrt(MANY * p * (1 - p))
    assert abs(int(flips.sum()) - MANY * p) < 4.9 * deviation  # one in a million, two-sided


def test_flips_are_independent_of_places_samples_and_epochs(assert_uniform):
    policy = Policy((PadCrop(1), HorizontalFlip()))
    first, second = windows(policy), windows(policy, epoch=1)
    assert_uniform(((first[:, 0] + 1) * 3 + first[:, 1] + 1) * 2 + first[:, 2], 18)
    assert_uniform(first[:, 2] * 2 + second[:, 2] + 4 * (np.arange(MANY) % 2), 8)
    runs = first[:, 2].reshape(-1, 8) @ (1 << np.arange(8))
    assert_uniform(runs, 256)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_p_that_is_no_probability(p):
    with pytest.raises(StriateError, match=r"HorizontalFlip: p is .*; give a probability from 0 to 1"):
        HorizontalFlip(p)


# ---------------------------------------------------------------------------------------------------------- policy


def test_without_noise_the_window_is_the_centre():
    sizes = np.array([[10, 10], [11, 13], [28, 10]], np.int32)
    drawn = Policy().windows(0, 0, np.arange(3), sizes, (10, 10))
    assert drawn.dtype == np.int32
    assert drawn.tolist() == [[0, 0, 0], [0, 1, 0], [9, 0, 0]]


def test_a_window_depends_on_its_sample_and_not_on_its_batch():
    policy = Policy((PadCrop(3), HorizontalFlip()))
    together = windows(policy, seed=5, epoch=2, count=300)
    shuffled = np.random.default_rng(0).permutation(300)
    sizes = np.full((1, 2), 32, np.int32)
    alone = [policy.windows(5, 2, np.array([i]), sizes, (32, 32))[0] for i in shuffled]
    assert np.array_equal(together[shuffled], np.array(alone))


def test_adding_a_noise_leaves_what_the_others_draw():
    crop, flip, both = (
        windows(Policy(n)) for n in ((PadCrop(4),), (HorizontalFlip(),), (HorizontalFlip(), PadCrop(4)))
    )
    assert np.array_equal(both[:, :2], crop[:, :2])
    assert np.array_equal(both[:, 2], flip[:, 2])


def test_no_samples_no_windows():
    assert windows(Policy((PadCrop(4), HorizontalFlip())), count=0).shape == (0, 3)


def test_two_noises_of_a_kind_are_refused():
    with pytest.raises(StriateError, match=r"HorizontalFlip is given twice; give each kind of noise once"):
        Policy((HorizontalFlip(0.5), PadCrop(1), HorizontalFlip(0.2)))


@pytest.mark.parametrize("fill", [-1, 256, 0.5, "black"])
def test_a_fill_that_is_no_grey_level(fill):
    with pytest.raises(StriateError, match=r"Policy: fill is .*; give a grey level from 0 to 255, or 'mean'"):
        Policy((), fill=fill)


def test_the_map_of_crops_and_mirrors_shows_what_their_window_shows():
    policy, out = Policy((PadCrop(3), HorizontalFlip())), (20, 24)
    bases = np.array([[20, 24], [31, 24], [20, 57]] * 50, np.int32)
    samples = np.arange(len(bases))
    frames = np.tile(np.eye(3), (len(bases), 1, 1))  # the source is its own base: the frame is the centre window's
    frames[:, 0, 2], frames[:, 1, 2] = (bases[:, 1] - out[1]) // 2, (bases[:, 0] - out[0]) // 2
    geometry = policy.draws(3, 7, samples, bases, out, frames).geometry
    corners = geometry @ np.array([[0, 0, 1], [out[1], 0, 1]], np.float64).T  # left and right end of the first row
    for (top, left, flip), ends in zip(policy.windows(3, 7, samples, bases, out).tolist(), corners, strict=True):
        xs = [left, left + out[1]]
        assert ends[0].tolist() == (xs[::-1] if flip else xs)
        assert ends[1].tolist() == [top, top]


def test_more_than_windows_is_not_drawn_as_windows():
    assert Policy((PadCrop(1), HorizontalFlip())).only_windows
    policy = Policy((RandomResizedCrop(),))
    assert not policy.only_windows
    with pytest.raises(StriateError, match=r"RandomResizedCrop is more than a window; draw with `draws`"):
        windows(policy, count=1)


def test_a_noise_that_chooses_the_rectangle_comes_first():
    with pytest.raises(StriateError, match=r"RandomResizedCrop chooses .*; put it before HorizontalFlip"):
        Policy((HorizontalFlip(), RandomResizedCrop()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filter": "cubic"}, "Policy: unknown filter 'cubic'; did you mean 'bicubic'?"),
        ({"border": "wrap"}, "Policy: unknown border 'wrap'; choose from constant, edge, reflect"),
    ],
)
def test_an_unknown_filter_or_border(settings, message):
    with pytest.raises(StriateError) as error:
        Policy((), **settings)
    assert str(error.value) == message


def test_a_mean_of_other_channels_is_refused():
    policy = Policy((ColorJitter(contrast=0.5),), mean=(0.5, 0.5, 0.5))
    one = np.array([[8, 8]], np.int32)
    with pytest.raises(StriateError, match=r"its mean colour has 3 channel\(s\), the images have 1"):
        policy.draws(0, 0, np.arange(1), one, (8, 8), np.eye(3)[None], channels=1)


# ----------------------------------------------------------------------------------------------------------- views


def test_ten_crops_as_in_krizhevsky_2012():
    views = Policy((PadCrop(0), HorizontalFlip())).views((224, 224))
    corners = {(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)}  # §4.1: four corners and the centre, and their mirrors
    assert {(v.place, v.flip) for v in views} == {(place, f) for place in corners for f in (False, True)}
    assert [v.weight for v in views] == pytest.approx([0.1] * 10)


def test_crops_at_one_size_are_tested_at_that_size():
    """The policy "alexnet": Krizhevsky 2012, §4.1, averages ten crops of the one 256 px image that training cropped."""
    views = Policy((RandomScaleCrop((256, 256)), HorizontalFlip())).views((224, 224))
    assert [v.short_side for v in views] == [256] * 10
    assert [v.weight for v in views] == pytest.approx([1 / 10] * 10)


def test_fifty_views_as_in_he_2015():
    views = Policy((RandomScaleCrop((256, 480)), HorizontalFlip())).views((224, 224))
    assert {v.short_side for v in views} == {224, 256, 384, 480, 640}  # §3.4
    assert [v.weight for v in views] == pytest.approx([1 / 50] * 50)


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 1.0])
def test_flip_views_are_weighted_as_training_draws_them(p):
    views = Policy((HorizontalFlip(p),)).views((8, 8))
    assert {v.flip: v.weight for v in views} == {f: w for f, w in ((False, 1 - p), (True, p)) if w}


def test_the_weights_of_any_noise_sum_to_one(every_noise):
    mirrors = () if isinstance(every_noise, HorizontalFlip) else (HorizontalFlip(0.3),)
    views = Policy((every_noise, *mirrors)).views((32, 32))
    assert sum(v.weight for v in views) == pytest.approx(1)


def test_no_noise_has_the_evaluators_view():
    assert Policy().views((8, 8)) == (View(),)
