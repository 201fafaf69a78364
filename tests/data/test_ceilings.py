"""What `striate doctor data` measures of each stage, by a clock that the stages themselves move on."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from striate.augment import HorizontalFlip, PadCrop, Policy, RandomResizedCrop
from striate.data import Dataset, Preprocess, bases, warped
from striate.data import open as open_data
from striate.data.ceilings import ceilings

PREPROCESS = Preprocess(channels=3, size=(32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
TICK = 1e-6  # seconds between two looks at the clock


@pytest.fixture
def photos(tmp_path) -> Dataset:
    for i in range(8):
        where = tmp_path / "ab"[i % 2]
        where.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (480, 640, 3), dtype=np.uint8)).save(
            where / f"{i}.jpg"
        )
    return open_data(str(tmp_path), check=False)


@pytest.fixture
def dear(monkeypatch):
    """dear(place, "function", seconds): a call takes so long, by the clock of the stages; for one worker."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += TICK
        return now

    def make(place: Any, function: str, seconds: float) -> None:
        cheap = getattr(place, function)

        def slow(*given: Any) -> Any:
            nonlocal now
            now += seconds
            return cheap(*given)

        monkeypatch.setattr(place, function, slow)

    monkeypatch.setattr("striate.data.stages.perf_counter", clock)
    return make


def measured(photos: Dataset, policy: Policy) -> dict[str, float]:
    found = ceilings(photos.train, PREPROCESS, policy=policy, batch_size=4, workers=1, seconds=0.0)
    return {one.stage: one.images_per_second for one in found}


def test_decoding_is_what_the_noise_leaves_of_it(photos, dear):
    """A map that shrinks a photograph to 32 px has it decoded at an eighth, which is not as dear as all of it."""
    dear(warped, "decode", 1.0)
    dear(warped, "decode_at", 0.1)
    rates = measured(photos, Policy((RandomResizedCrop((0.9, 1.0)),)))
    assert rates["decode"] == pytest.approx(10, rel=0.01)
    assert rates["augment"] > 1000  # none of that is noise


def test_a_resize_that_is_kept_is_decoding_and_no_noise(photos, dear):
    dear(bases, "decode", 0.1)
    dear(Preprocess, "base", 0.1)
    rates = measured(photos, Policy((PadCrop(2), HorizontalFlip())))
    assert rates["decode"] == pytest.approx(5, rel=0.01)
    assert rates["augment"] > 1000
