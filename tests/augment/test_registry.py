"""Policies as tables, and by name."""

import json

import numpy as np
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
        (
            {"noises": [{"noise": "HorizontalFlip", "p": "half"}]},
            "HorizontalFlip: p is 'half'; give a probability from 0 to 1",
        ),
        (
            {"noises": [{"noise": "Affine", "translate": 0.1}]},
            "Affine: translate is 0.1; give shares (across, down), each from 0 to 1",
        ),
        (
            {"noises": [{"noise": "Affine", "translate": ["a", 0]}]},
            "Affine: translate is ('a', 0); give shares (across, down), each from 0 to 1",
        ),
        (
            {"noises": [{"noise": "Affine", "degrees": "12"}]},
            "Affine: degrees is '12'; give two numbers, the smaller first",
        ),
        (
            {"noises": [{"noise": "Affine", "degrees": ["-1", "1"]}]},
            "Affine: degrees is ('-1', '1'); give two numbers, the smaller first",
        ),
        *(
            (
                {"noises": [{"noise": "RandomScaleCrop", "short_side": value}]},
                f"RandomScaleCrop: short_side is {told}; give two whole numbers of pixels, the smaller first",
            )
            for value, told in ((256, "256"), ([256], "(256,)"), (["a", 3], "('a', 3)"), ([256, 300.0], "(256, 300.0)"))
        ),
        *(
            (
                {"noises": [{"noise": "RandomSolarize", "threshold": value}]},
                f"RandomSolarize: threshold is {value!r}; give a number from 0 to 256",
            )
            for value in (float("nan"), "x", -1, 257)
        ),
        (
            {"noises": [{"noise": "RandAugment", "num_ops": 2.0}]},
            "RandAugment: num_ops is 2.0; give a whole number from 1 to 4",
        ),
        (
            {"noises": [{"noise": "RandAugment", "magnitude": 9.0}]},
            "RandAugment: magnitude is 9.0; give a whole number from 0 to 30",
        ),
        (
            {"noises": [{"noise": "PCAColor", "values": 0.1, "vectors": [[1]]}]},
            "PCAColor: values is 0.1; give a list of finite numbers",
        ),
        (
            {"noises": [{"noise": "PCAColor", "values": [1, 1, 1], "vectors": [1, 2, 3]}]},
            "PCAColor: vectors is (1, 2, 3); give a list of lists of finite numbers",
        ),
        *(
            ({"mean": value}, f"Policy: mean is {value!r}; give one finite number a channel, in 0..1, or leave it out")
            for value in ("abc", 0.5, [float("nan")] * 3, ["a"])
        ),
        ({"antialias": "no"}, "Policy: antialias is 'no'; give true or false"),
        ({"filter": ["nearest"]}, "Policy: unknown filter \"['nearest']\"; did you mean 'nearest'?"),
        ({"fill": True}, "Policy: fill is True; give a grey level from 0 to 255, or 'mean'"),
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


def test_whatever_a_table_says_it_is_one_clear_line(every_noise):
    """Each setting of each noise, as something that it is not."""
    table = policy_to_dict(Policy((every_noise,)))["noises"][0]
    for name in table.keys() - {"noise"}:
        for value in (
            "half",
            "12",
            [],
            [1, 2, 3, 4],
            {"a": 1},
            [[1], "x"],
            float("nan"),
            [float("nan")] * 2,
            1e20,
            -7,
        ):
            said = {**table, name: value}
            try:
                policy = policy_from_dict({"noises": [said]})
            except StriateError:
                with pytest.raises(StriateError, match=rf"^.*{type(every_noise).__name__}.*$"):
                    policy_from_dict({"noises": [said]})
                continue
            sizes, frames = np.full((4, 2), 60, np.int32), np.tile(np.eye(3), (4, 1, 1))
            policy.draws(0, 0, np.arange(4), sizes, (36, 36), frames)  # so it says something that can be drawn


def test_noises_are_a_list():
    with pytest.raises(StriateError, match=r"Policy: noises is HorizontalFlip\(p=0.5\); give a list of noises"):
        Policy(HorizontalFlip())  # type: ignore[arg-type]
    with pytest.raises(StriateError, match=r"Policy: noises is \('flip',\); give a list of noises"):
        Policy(("flip",))  # type: ignore[arg-type]
