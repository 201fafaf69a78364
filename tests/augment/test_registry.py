"""Policies as tables, and by name."""

import json

import pytest

from striate.augment import NOISES, HorizontalFlip, PadCrop, PCAColor, Policy, policy_from_dict, policy_to_dict
from striate.augment.presets import PRESETS, preset
from striate.errors import StriateError

PCA = PCAColor((0.2, 0.02, 0.004), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))


def test_every_noise_is_written_down_and_read_back(every_noise):
    policy = Policy((every_noise,), fill="mean", filter="bicubic", border="reflect", mean=(0.1, 0.2, 0.3))
    assert policy_from_dict(json.loads(json.dumps(policy_to_dict(policy)))) == policy


def test_the_registry_has_every_noise_once(every_noise):
    assert NOISES[type(every_noise).__name__] is type(every_noise)
    assert len({kind.stream for kind in NOISES.values()}) == len(NOISES)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fil": 3}, "unknown setting of a policy 'fil'; did you mean 'fill'?"),
        ({"noises": "flip"}, "policy: noises is a list of tables, each with the name of a noise as `noise`"),
        ({"noises": [{"noise": "HorizontalFlop"}]}, "unknown noise 'HorizontalFlop'; did you mean 'HorizontalFlip'?"),
        ({"noises": [{"noise": "HorizontalFlip", "q": 1}]}, "unknown setting of HorizontalFlip 'q'; choose from p"),
        ({"noises": [{"noise": "PadCrop"}]}, "PadCrop: padding missing"),
    ],
)
def test_a_table_that_is_no_policy_is_one_clear_line(table, message):
    with pytest.raises(StriateError) as error:
        policy_from_dict(table)
    assert str(error.value) == message


def named(name: str, size: int = 224, *, mirror: bool = True, per_class: float = 1000.0):
    return preset(name, size, mirror=mirror, per_class=per_class, pca=lambda: PCA)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_mirror_only_where_a_mirror_keeps_the_class(name):
    kinds = {type(noise).__name__ for noise in named(name, mirror=False).policy.noises}
    assert "HorizontalFlip" not in kinds
    assert name == "none" or "HorizontalFlip" in {type(n).__name__ for n in named(name).policy.noises}


def test_light_is_pad_crop_and_mirror():
    assert named("light", 32).policy.noises == (PadCrop(2), HorizontalFlip())
    assert preset("light", 32, mirror=True, pad=0, per_class=1, pca=lambda: PCA).policy.noises == (HorizontalFlip(),)


@pytest.mark.parametrize(
    ("size", "per_class", "reason"),
    [
        (32, 5000, "light: images of 32 px are too small to resample"),
        (224, 120, "strong: 120 images a class are few"),
        (224, 1300, "resnet: 1,300 images a class"),
        (224, 9000, "alexnet: 9,000 images a class are many"),
    ],
)
def test_auto_says_what_it_chose_and_why(size, per_class, reason):
    chosen = named("auto", size, per_class=per_class)
    assert chosen.reason == reason
    assert chosen.policy == named(reason.partition(":")[0], size).policy


def test_an_unknown_preset():
    with pytest.raises(StriateError, match="unknown policy 'stong'; did you mean 'strong'"):
        named("stong")
