"""Learning rates against closed forms and against torch's own schedulers."""

import math
import warnings

import pytest
import torch

from striate.train.schedule import Rate
from striate.train.settings import Settings


def rates(settings: Settings, steps_per_epoch: int, total: int) -> list[float]:
    rate = Rate(settings, steps_per_epoch, total)
    return [rate.at(step) for step in range(total)]


def theirs(build: object, lr: float, total: int, every: int = 1) -> list[float]:
    """The rates of a torch scheduler that is stepped every so many updates."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = build(optimizer)  # type: ignore[operator]  # a class or a lambda
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants to see the optimiser step
        for step in range(total):
            found.append(optimizer.param_groups[0]["lr"])
            if (step + 1) % every == 0:
                scheduler.step()
    return found


def test_constant() -> None:
    assert rates(Settings(schedule="constant", lr=0.3), 4, 8) == [0.3] * 8


def test_cosine_is_torchs() -> None:
    expected = theirs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20), 0.5, 20)
    assert rates(Settings(schedule="cosine", lr=0.5), 5, 20) == pytest.approx(expected, rel=1e-9)


def test_step_is_torchs_multistep() -> None:
    build = lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[2, 5], gamma=0.1)  # noqa: E731  # one use
    settings = Settings(schedule="step", lr=1.0, milestones=(2, 5), gamma=0.1)
    assert rates(settings, 3, 21) == pytest.approx(theirs(build, 1.0, 21, every=3), rel=1e-9)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    found = rates(Settings(schedule="onecycle", lr=0.4, peak_fraction=0.25), 10, 100)
    assert found[0] == 0
    assert found[25] == max(found) == pytest.approx(0.4)
    assert found[10] == pytest.approx(0.4 * 10 / 25)
    assert found[99] == pytest.approx(0.4 * 1 / 75)


def test_warm_up_is_a_straight_line() -> None:
    found = rates(Settings(schedule="constant", lr=1.0, warmup_epochs=2.0), 5, 15)
    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[10:] == [1.0] * 5


def test_cosine_begins_after_the_warm_up() -> None:
    found = rates(Settings(schedule="cosine", lr=1.0, warmup_epochs=1.0), 5, 25)
    assert found[5] == pytest.approx(1.0)
    assert found[15] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))


def test_plateau_is_torchs() -> None:
    errors = [0.9, 0.8, 0.8, 0.81, 0.7, 0.7, 0.7, 0.7, 0.6, 0.65, 0.65, 0.65]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1, threshold=0.0)
    rate = Rate(Settings(schedule="plateau", lr=1.0, gamma=0.1, plateau_epochs=2), 1, 100)
    for epoch, error in enumerate(errors):
        rate.epoch_ended(error)
        peer.step(error)
        assert rate.at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"]), epoch


def test_plateau_remembers_across_a_resume() -> None:
    settings = Settings(schedule="plateau", lr=1.0, plateau_epochs=2)
    first = Rate(settings, 1, 100)
    for error in (0.5, 0.6):
        first.epoch_ended(error)
    second = Rate(settings, 1, 100)
    second.load_state_dict(first.state_dict())
    second.epoch_ended(0.6)
    assert second.at(3) == pytest.approx(0.1)
