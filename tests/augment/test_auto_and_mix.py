"""RandAugment, TrivialAugment, Mixup, CutMix: their laws, and what they leave alone."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from striate.augment import CutMix, Mixup, Policy, RandAugment, TrivialAugment, mix
from striate.augment.auto import BINS, RANDOM
from striate.errors import StriateError

MANY = 20_000


def draws(policy: Policy, count: int = MANY):
    sizes, frames = np.full((count, 2), 32, np.int32), np.tile(np.eye(3), (count, 1, 1))
    return policy.draws(0, 0, np.arange(count), sizes, (32, 32), frames)


def test_rand_augment_takes_each_of_fourteen_operations_equally_often():
    assert len(RANDOM) == 14
    drawn = draws(Policy((RandAugment(1, 15),)))
    touched = {
        "geometry": (~np.isclose(drawn.geometry, np.eye(3)).all((1, 2))).mean(),  # 5 of 14
        "colour": (~np.isclose(drawn.colour, np.eye(3, 4)).all((1, 2))).mean(),  # 3 of 14
        **{step.kind: len(step.rows) / MANY for step in drawn.steps},  # 1 of 14 each, and nothing at all in 1
    }
    expected = {"geometry": 5, "colour": 3} | dict.fromkeys(
        ("sharpness", "posterize", "solarize", "autocontrast", "equalize"), 1
    )
    assert touched.keys() == expected.keys()
    for name, ways in expected.items():
        share = ways / 14
        assert touched[name] == pytest.approx(share, abs=4.9 * math.sqrt(share * (1 - share) / MANY))


def test_trivial_augment_draws_every_strength():
    drawn = draws(Policy((TrivialAugment(),)))
    (solarize,) = [step for step in drawn.steps if step.kind == "solarize"]
    strengths = np.rint((1 - solarize.numbers[:, 0] / 255) * (BINS - 1)).astype(int)
    assert set(strengths.tolist()) == set(range(BINS))


def test_strength_zero_leaves_the_image():
    drawn = draws(Policy((RandAugment(2, 0),)), 500)
    assert drawn.geometry == pytest.approx(np.tile(np.eye(3), (500, 1, 1)))
    assert drawn.colour == pytest.approx(np.tile(np.eye(3, 4), (500, 1, 1)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_ops": 0}, "RandAugment: num_ops is 0; give a whole number from 1 to 4"),
        ({"magnitude": 31}, "RandAugment: magnitude is 31; give a whole number from 0 to 30"),
    ],
)
def test_numbers_out_of_range(settings, message):
    with pytest.raises(StriateError) as error:
        RandAugment(**settings)
    assert str(error.value) == message


# ------------------------------------------------------------------------------------------------------------- mixing


@pytest.fixture
def images() -> torch.Tensor:
    return torch.arange(6, dtype=torch.float32)[:, None, None, None].expand(6, 3, 10, 12).contiguous()


def test_mixup_is_the_weighted_sum_of_a_sample_and_its_opposite(images):
    mixed = mix(images, torch.arange(6), (Mixup(0.7),), 3, 1)
    assert mixed.partner.tolist() == [5, 4, 3, 2, 1, 0]
    expected = mixed.share * torch.arange(6) + (1 - mixed.share) * torch.arange(5, -1, -1)
    assert torch.allclose(mixed.images, expected[:, None, None, None].expand_as(mixed.images), atol=1e-6)


def test_cutmix_counts_the_pixels_it_pasted(images):
    mixed = mix(images, torch.arange(6), (CutMix(),), 3, 1)
    for i in range(6):
        own = (mixed.images[i] == images[i]).float().mean().item()
        pasted = (mixed.images[i] == images[5 - i]).float().mean().item()
        assert own + pasted == pytest.approx(1)
        assert mixed.share[i].item() == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_share_follows_betas_law(alpha):
    shares = mix(torch.zeros((MANY, 1, 1, 1)), torch.arange(MANY), (Mixup(alpha),), 0, 0).share.double().numpy()
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-6


def test_a_mix_is_a_function_of_seed_epoch_and_samples(images):
    first, again, other = (mix(images, torch.arange(6), (Mixup(), CutMix()), 1, epoch) for epoch in (4, 4, 5))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.share, other.share)


def test_of_two_mixings_each_batch_takes_one():
    kinds = []
    for first in range(2000):
        mixed = mix(torch.zeros((1, 1, 4, 4)), torch.tensor([first]), (Mixup(), CutMix()), 0, 0)
        kinds.append(bool(abs(mixed.share * 16 - (mixed.share * 16).round()).max() < 1e-5))  # CutMix: whole pixels
    assert np.mean(kinds) == pytest.approx(0.5, abs=0.06)


def test_an_alpha_that_is_none():
    with pytest.raises(StriateError, match=r"Mixup: alpha is 0; give a number 0\.001 or more"):
        Mixup(0)
