"""Rules, one by one, on series made up to be just over and just under what they ask for."""

import dataclasses
import math
from typing import Any

import pytest

from striate.train.watch import Series, diagnose
from striate.train.watch.series import Epoch, Look, Step

FACTS = {"classes": 10, "chance_loss": math.log(10), "commonest": 0.1, "train": 5000, "val": 500, "lr": 0.05}
WEIGHT = {"gradient": 0.5, "ratio": 1e-3, "rms": 0.1}
ACTIVATION = {
    "kind": "relu",
    "shape": [16, 8, 8],
    "units": 16,
    "mean": 0.4,
    "deviation": 0.6,
    "zeros": 0.5,
    "broken": 0.0,
}


FORGOTTEN = (
    "epoch 5 had 70% of the training images right, with a loss of 0.69; it was lost after that, "
    "and the last 4 epochs have 30%, with 1.61"
)


def look(step: int, **changes: Any) -> Look:
    weights = [{"name": f"conv{i}", **WEIGHT} for i in range(1, 6)]
    activations = [{"name": "act1", **ACTIVATION, "dead": 0.0, "saturated": None}]
    given = {"weights": weights, "activations": activations, "norms": [], "gradient": 1.0, **changes}
    return Look(step=step, epoch=1, learning_rate=0.05, **given)


def epoch(number: int, train: float = 0.9, val: float = 0.88, **changes: Any) -> Epoch:
    given = {
        "train_loss": 2.3 * (1 - train) + 0.05,
        "val_loss": 2.3 * (1 - val) + 0.05,
        "learning_rate": 0.05 * (1 - number / 20),
        "seconds": 10.0,
        "wait": 0.02,
        "waits": {},
    } | changes
    return Epoch(epoch=number, step=100 * number, train_accuracy=train, val_accuracy=val, **given)


@pytest.fixture
def healthy() -> Series:
    """Twelve epochs from 50 % to 97 %, with a look in each."""
    accuracy = [0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.965, 0.97]
    return Series(
        facts=dict(FACTS),
        steps=[Step(step=s, epoch=1 + s // 100, loss=2.4 * math.exp(-s / 300)) for s in range(1, 1200, 2)],
        epochs=[epoch(i, a, a - 0.02) for i, a in enumerate(accuracy, start=1)],
        looks=[look(1), *(look(100 * i) for i in range(1, 13))],
    )


def named(series: Series) -> list[str]:
    return [one.illness for one in diagnose(series)]


def test_a_healthy_run_has_nothing(healthy: Series) -> None:
    assert named(healthy) == []
    assert named(Series()) == []


def test_no_prefix_of_a_healthy_run_alarms_anybody(healthy: Series) -> None:
    """The same rules are asked while the run goes on."""
    for done in range(13):
        parts = {
            "steps": healthy.steps[: 50 * done],
            "epochs": healthy.epochs[:done],
            "looks": healthy.looks[: done + 1],
        }
        assert named(dataclasses.replace(healthy, **parts)) == []


@pytest.mark.parametrize(("loss", "found"), [(2.9 * 2.4, []), (3.2 * 2.4, ["learning rate too high"])])
def test_a_loss_that_rises(healthy: Series, loss: float, found: list[str]) -> None:
    healthy.steps.append(Step(step=1229, epoch=13, loss=loss))
    assert named(healthy) == found
    if found:
        (one,) = diagnose(healthy)
        lowest = 2.4 * math.exp(-1199 / 300)
        assert one.evidence == f"loss rose {loss / lowest:.3g}× in 30 steps"
        assert one.remedy == "try --lr 0.005, or a warm-up (--warmup-epochs 1)"


def test_a_loss_that_was_zero_and_rises(healthy: Series) -> None:
    """A net that is sure of all its images; the factor is then of what it began with."""
    fell = [dataclasses.replace(step, loss=0.0) for step in healthy.steps[-2:]]
    over = Step(step=1300, epoch=13, loss=4 * healthy.steps[0].loss)
    healthy = dataclasses.replace(healthy, steps=[*healthy.steps[:-2], *fell, over])
    (found,) = diagnose(healthy)
    assert found.illness == "learning rate too high"
    assert found.evidence.startswith("loss rose 4× in 103 steps")


def test_a_loss_that_grows_beyond_all_numbers_under_large_updates(healthy: Series) -> None:
    looks = [look(1, weights=[{"name": "conv1", **WEIGHT, "ratio": 3.0}])]
    steps = healthy.steps[:2]
    broken = dataclasses.replace(
        healthy, steps=steps, epochs=[], looks=looks, sick={"loss": "inf", "step": steps[-1].step + 1}
    )
    (found,) = diagnose(broken)
    said = "loss grew beyond all numbers in 1 step, where one update changed the weights by"
    assert found.evidence == f"{said} 300% (0.1 % is usual)"
    looks[0].weights[0]["ratio"] = 1.576e8  # it said 15760000000%
    (found,) = diagnose(broken)
    assert found.evidence == f"{said} 1.6e+08 times their size (0.1 % is usual)"


def test_norms_whose_shift_is_no_number_are_told_by_their_scale(healthy: Series) -> None:
    norms = [{"name": "bn1", "shift": None, "scale": 3.0}]
    (found,) = diagnose(dataclasses.replace(healthy, looks=[*healthy.looks, look(1300, norms=norms)]))
    assert found.illness == "batch norm drift"
    assert "the batches' deviation is 3× the running one" in found.evidence


def test_a_loss_that_is_no_number(healthy: Series) -> None:
    healthy.sick = {"step": 7, "loss": "nan"}
    assert named(healthy) == ["not a number"]
    assert "stopped being a number at step 7" in str(diagnose(healthy)[0])


@pytest.mark.parametrize(("end", "found"), [(0.3, [FORGOTTEN]), (0.6, [])])
def test_what_is_learnt_and_lost_is_no_underfitting(healthy: Series, end: float, found: list[str]) -> None:
    """LeNet-5 with one batch an epoch: from 70 % at the top of its rate to 30 %, where it stayed."""
    accuracy = [0.1, 0.2, 0.4, 0.6, 0.7, 0.7, 0.2, *[end] * 5]
    healthy.epochs[:] = [epoch(i, a, a, train_loss=2.3 * (1 - a)) for i, a in enumerate(accuracy, start=1)]
    assert [one.evidence for one in diagnose(healthy) if one.illness == "learning rate too high"] == found


@pytest.mark.parametrize(("ratio", "found"), [(2e-4, []), (5e-5, ["learning rate too low"])])
def test_updates_too_small_to_learn_by(healthy: Series, ratio: float, found: list[str]) -> None:
    healthy.epochs = [epoch(i, 0.15 + 0.02 * i, 0.2 + 0.02 * i) for i in range(1, 13)]
    healthy.looks = [look(s, weights=[{"name": "conv", **WEIGHT, "ratio": ratio}]) for s in (1, 100, 500)]
    assert named(healthy) == found
    if found:
        assert diagnose(healthy)[0].remedy == "try --lr 1"  # 0.05 · 1e-3 / 5e-5


@pytest.mark.parametrize(("dead", "found"), [(0.37, []), (0.52, ["dead units"])])
def test_dead_units(healthy: Series, dead: float, found: list[str]) -> None:
    layer = {"name": "conv3", **ACTIVATION, "units": 100, "saturated": None, "dead": dead}
    healthy.looks += [look(1250, activations=[layer])]
    assert named(healthy) == []  # one look is no proof
    healthy.looks += [look(1300, activations=[layer])]
    assert named(healthy) == found
    if found:
        assert diagnose(healthy)[0].evidence == "52% of conv3's 100 units never fire (step 1300)"


@pytest.mark.parametrize(("share", "found"), [(0.45, []), (0.6, ["saturated units"])])
def test_saturated_units(healthy: Series, share: float, found: list[str]) -> None:
    layer = {"name": "tanh2", **ACTIVATION, "dead": None, "saturated": share}
    healthy.looks += [look(s, activations=[layer]) for s in (1250, 1300)]
    assert named(healthy) == found


@pytest.mark.parametrize(("first", "found"), [(2e-3, []), (5e-4, ["vanishing gradients"])])
def test_gradients_that_vanish(healthy: Series, first: float, found: list[str]) -> None:
    weights = [{"name": f"conv{i}", **WEIGHT, "gradient": first if i < 4 else 0.9} for i in range(1, 6)]
    healthy.looks = [look(s, weights=weights) for s in (1, 100, 200)]
    assert named(healthy) == found
    healthy.looks[0] = look(1)  # it was there at first: training has killed it
    assert named(healthy) == []


@pytest.mark.parametrize(("norm", "found"), [(40.0, []), (80.0, ["exploding gradients"]), (math.nan, [])])
def test_gradients_that_explode_at_the_first_step(healthy: Series, norm: float, found: list[str]) -> None:
    healthy.looks[0] = look(1, gradient=norm)
    assert named(healthy) == found


def test_trained_weights_whose_gradients_explode_are_not_to_be_drawn_anew(healthy: Series) -> None:
    healthy.looks[0] = look(1, gradient=60.0)
    healthy.facts["pretrained"] = True
    assert [one.remedy for one in diagnose(healthy)] == ["try --lr 0.005, or cut it off (--clip-grad 1)"]


@pytest.mark.parametrize(
    ("shift", "scale", "found"),
    [
        (0.3, 1.2, []),
        (0.7, 1.0, ["batch norm drift"]),
        (0.1, 2.0, ["batch norm drift"]),
        (0.1, 0.5, ["batch norm drift"]),
    ],
)
def test_norms_that_drift(healthy: Series, shift: float, scale: float, found: list[str]) -> None:
    healthy.looks[-1] = look(1200, norms=[{"name": "bn1", "shift": shift, "scale": scale}])
    assert named(healthy) == found
    healthy.looks = [look(20, norms=[{"name": "bn1", "shift": shift, "scale": scale}])]
    assert named(healthy) == []  # at step 20 the running statistics still remember their start


@pytest.mark.parametrize(("left", "found"), [(0.02, []), (0.005, ["decay too strong"])])
def test_weights_that_decay_takes(healthy: Series, left: float, found: list[str]) -> None:
    healthy.facts["weight_decay"] = 0.5
    healthy.looks[-1] = look(1200, weights=[{"name": f"conv{i}", **WEIGHT, "rms": left} for i in range(1, 6)])
    assert named(healthy) == found


def test_overfitting_says_since_when(healthy: Series) -> None:
    losses = [2.0, 1.6, 1.4, 1.3, 1.25, 1.22, 1.2, 1.25, 1.35, 1.5, 1.6, 1.7]
    healthy.epochs = [epoch(i, min(0.99, 0.3 + 0.07 * i), 0.6, val_loss=loss) for i, loss in enumerate(losses, start=1)]
    (one,) = diagnose(healthy)
    assert one.illness == "overfitting"
    assert one.evidence.startswith("since epoch 7, where its loss was 1.2 (now 1.6)")
    assert "more noise" in one.remedy
    assert "more decay" in one.remedy
    assert "a trained net to start from (striate transfer)" in one.remedy
    healthy.facts["pretrained"] = True  # it has started from one
    (one,) = diagnose(healthy)
    assert "striate transfer" not in one.remedy
    assert "fewer parameters that learn (--freeze), or more images; --patience 5" in one.remedy


@pytest.mark.parametrize(("gap", "found"), [(0.12, []), (0.18, ["overfitting"])])
def test_how_far_apart_training_and_validation_may_be(healthy: Series, gap: float, found: list[str]) -> None:
    healthy.epochs = [epoch(i, min(0.99, 0.5 + 0.1 * i), min(0.99, 0.5 + 0.1 * i) - gap) for i in range(1, 13)]
    assert named(healthy) == found


@pytest.mark.parametrize(("gap", "found"), [(0.1, []), (0.2, ["validation better than training"])])
def test_validation_far_ahead(healthy: Series, gap: float, found: list[str]) -> None:
    healthy.epochs = [epoch(i, 0.5 + 0.02 * i, 0.5 + 0.02 * i + gap) for i in range(1, 13)]
    assert named(healthy) == found
    healthy.facts["mixed"] = True  # mixed images have no one right answer
    assert named(healthy) == []


@pytest.mark.parametrize(
    ("train", "val", "images", "found"),
    [
        (0.57, 0.75, 6, []),  # photographs in a small folder: one image is 17 points
        (0.57, 0.75, 500, ["validation better than training"]),
        (0.95, 0.67, 6, []),
        (0.95, 0.67, 50, ["overfitting"]),
        (0.95, 0.0, 6, ["overfitting"]),
    ],
)
def test_few_validation_images_tell_little(
    healthy: Series, train: float, val: float, images: int, found: list[str]
) -> None:
    healthy.facts |= {"val": images, "commonest": 0.3, "chance_loss": math.log(4)}
    healthy.epochs = [epoch(i, train, val, train_loss=(1 - train) / i, val_loss=0.4) for i in range(1, 13)]
    assert named(healthy) == found


def test_labels_in_another_order(healthy: Series) -> None:
    """Learnt by heart, or not at all; and ten validation images could not tell."""
    healthy.epochs = [epoch(i, min(0.95, 0.2 * i), 0.11) for i in range(1, 13)]
    (one,) = diagnose(healthy)
    assert one.illness == "labels do not fit the images"
    assert one.evidence == "training gets 95% right and validation 11%, what one constant answer reaches (10%)"
    healthy.epochs = [epoch(i, 0.1, 0.1, train_loss=2.3) for i in range(1, 13)]
    assert "the loss is 2.3, that of a guess (2.3)" in diagnose(healthy)[0].evidence
    healthy.facts |= {"val": 10, "commonest": 0.5, "chance_loss": math.log(2)}
    healthy.epochs = [epoch(i, min(0.95, 0.1 * i), 0.5) for i in range(1, 13)]
    assert named(healthy) == ["overfitting"]


@pytest.mark.parametrize(("rate", "found"), [(0.05, "plateau"), (0.001, "underfitting")])
def test_standing_still_at_a_high_rate_and_at_a_low_one(healthy: Series, rate: float, found: str) -> None:
    healthy.epochs = [epoch(i, 0.6, 0.6, train_loss=1.1, learning_rate=0.05 if i < 6 else rate) for i in range(1, 13)]
    assert named(healthy) == [found]


def test_a_run_that_still_gets_better_is_not_underfitting(healthy: Series) -> None:
    healthy.epochs = [epoch(i, 0.3 + 0.03 * i, 0.3 + 0.03 * i, learning_rate=0.001) for i in range(1, 13)]
    assert named(healthy) == []


@pytest.mark.parametrize(
    ("wait", "seconds", "found"), [(0.5, 10.0, ["waiting for data"]), (0.2, 10.0, []), (0.5, 0.1, [])]
)
def test_waiting(healthy: Series, wait: float, seconds: float, found: list[str]) -> None:
    shares = {"decode": 0.4, "read": 0.1}
    healthy.epochs = [dataclasses.replace(e, wait=wait, seconds=seconds, waits=shares) for e in healthy.epochs]
    assert named(healthy) == found
    if found:
        assert "50% of the training time (60 s) the net waited for images, most of it for decode" in str(
            diagnose(healthy)[0]
        )


def test_blank_images(healthy: Series) -> None:
    layer = {"name": "act1", **ACTIVATION, "dead": 1.0, "saturated": None, "deviation": 0.0}
    healthy.looks = [look(s, activations=[layer]) for s in (1, 100)]
    assert named(healthy) == ["one answer for everything"]


def test_a_cause_is_said_and_not_its_effects(healthy: Series) -> None:
    """A rate that throws the net away leaves dead units and a constant answer."""
    healthy.steps.insert(5, Step(step=11, epoch=1, loss=100.0))
    layer = {"name": "act1", **ACTIVATION, "dead": 1.0, "saturated": None}
    healthy.looks += [look(s, activations=[layer]) for s in (1250, 1300)]
    healthy.epochs = [epoch(i, 0.1, 0.1, train_loss=2.3) for i in range(1, 13)]
    assert named(healthy) == ["learning rate too high"]
