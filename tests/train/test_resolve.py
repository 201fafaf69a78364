"""What `None` comes to for the data at hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.data import ArraySamples, Dataset
from striate.data import open as open_data
from striate.errors import StriateError
from striate.train import Settings, reporter_for, settings_from, start
from striate.train.resolve import idle_milestones, pick_device, resolve


def dataset(images: int) -> Dataset:
    samples = ArraySamples(np.zeros((images, 8, 8, 1), np.uint8), np.zeros(images, np.int64))
    return Dataset(name="few", spec="few", classes=("a", "b"), train=samples, val=None, test=None, mirror=False)


@pytest.mark.parametrize(
    ("images", "given", "steps"),
    [
        (86, {}, 10),  # one step an epoch
        (40, {}, 10),  # a batch is never larger than the set
        (300, {}, 10),
        (640, {}, 0),  # ten steps and more begin as they always did
        (300, {"batch_size": 16}, 0),
        (1294, {"accumulate": 4}, 10),
        (86, {"warmup_epochs": 0.0}, 0),  # what is given stands
        (86, {"warmup_epochs": 2.0}, 2),
        (86, {"schedule": "onecycle"}, 0),  # climbs by itself
    ],
)
def test_short_epochs_warm_up_over_ten_steps(images: int, given: dict[str, Any], steps: int) -> None:
    resolved = resolve(settings_from(given), dataset(images))
    assert resolved.warmup_epochs is not None
    per_epoch = -(-(images // resolved.batch_size) // resolved.accumulate)
    assert resolved.warmup_epochs * per_epoch == pytest.approx(steps)


@pytest.mark.shared
@pytest.mark.parametrize(
    "seed",
    [0, 1],  # both diverge at step 2 without the warm-up
)
def test_120_photographs_train_with_the_defaults(tmp_path: Path, shared_data: Path, seed: int) -> None:
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for path in sorted((shared_data / "ants-bees" / "train" / name).iterdir())[:60]:
            (tmp_path / "photos" / name / path.name).symlink_to(path)
    settings = {"data": str(tmp_path / "photos"), "output": str(tmp_path), "name": "run", "threads": 1, "seed": seed}
    ended = start(settings_from({**settings, "precision": "fp32", "channels_last": False}), reporter_for(quiet=True))
    assert ended.outcome.kind == "finished"


@pytest.mark.parametrize(
    ("given", "flag"), [({"early_stop": 1}, "--patience"), ({"schedule": "plateau"}, "--schedule plateau")]
)
def test_what_goes_by_validation_images_needs_some(given: dict[str, Any], flag: str) -> None:
    data = open_data("digits", val_fraction=0.0)
    assert data.val is None
    with pytest.raises(StriateError, match=f"{flag} goes by validation images, and there are none"):
        resolve(Settings(data="digits", val_fraction=0.0, **given), data)


def test_steps_of_the_rate_have_their_places() -> None:
    data = open_data("digits")
    with pytest.raises(StriateError, match=r"^--schedule step lowers the rate after .* lists none; give them, such as"):
        resolve(Settings(schedule="step"), data)
    assert resolve(Settings(schedule="step", milestones=(20,)), data).milestones == (20,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedule": "step", "milestones": (2, 9)}, None),
        ({"schedule": "step", "milestones": (9, 10, 20)}, "10,20: the run has 10 epochs"),
        ({"milestones": (2, 9)}, "2,9: they are those of --schedule step, and this is cosine"),
    ],
)
def test_milestones_that_do_nothing_are_told(given: dict[str, Any], said: str | None) -> None:
    expected = said and f"no rate is lowered after --milestones {said}"
    assert idle_milestones(Settings(epochs=10, **given)) == expected


def test_runs_train_on_cpu_and_cuda() -> None:
    with pytest.raises(StriateError, match="--device meta: runs train on cpu and cuda, not on meta"):
        pick_device("meta")
