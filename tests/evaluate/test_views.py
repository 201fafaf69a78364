"""Which views there are: the papers' counts, weights that sum to 1, scales in proportion, and what is refused."""

from collections import Counter

import numpy as np
import pytest

from striate.augment import HorizontalFlip, PadCrop, Policy
from striate.augment.view import View
from striate.data import Preprocess
from striate.errors import StriateError
from striate.evaluate.views import NAMED, Plan, views

PHOTO = Preprocess(channels=3, size=(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3)


def test_fifty_views_are_he_2015s() -> None:
    fifty = views()
    assert len(set(fifty)) == 50
    assert sum(view.weight for view in fifty) == pytest.approx(1, abs=1e-15)
    assert Counter(view.short_side for view in fifty) == {224: 10, 256: 10, 384: 10, 480: 10, 640: 10}
    assert Counter(view.place for view in fifty) == dict.fromkeys([(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)], 10)
    assert Counter(view.flip for view in fifty) == {False: 25, True: 25}


@pytest.mark.parametrize("crops", [1, 2, 5, 10])
@pytest.mark.parametrize("scales", [1, 2, 3, 4, 5, (224, 300)])
def test_weights_sum_to_one(crops: int, scales: int | tuple[int, ...]) -> None:
    found = views(crops, scales)
    assert len(found) == crops * (scales if isinstance(scales, int) else len(scales))
    assert sum(view.weight for view in found) == pytest.approx(1, abs=1e-15)


def test_one_scale_is_krizhevskys_and_all_are_in_proportion() -> None:
    assert {view.short_side for view in views(10, 1)} == {256}
    assert {view.short_side for view in views(10, 1, window=64)} == {73}  # 256 · 64 / 224 = 73.1
    assert {view.short_side for view in views(10, 5, window=112)} == {112, 128, 192, 240, 320}


def test_a_plan_knows_the_evaluators_own_frame() -> None:
    assert [view.short_side for view in Plan().views(PHOTO)] == [None]
    assert [view.short_side for view in Plan(crops=2).views(PHOTO)] == [None, None]
    assert {view.short_side for view in Plan(crops=10).views(PHOTO)} == {73}
    published = Preprocess(channels=3, size=(224, 224), resize_size=(256, 256), mean=(0.5,) * 3, std=(0.25,) * 3)
    assert {view.short_side for view in Plan(crops=10).views(published)} == {None}


def test_names() -> None:
    assert [len(NAMED[name].views(PHOTO)) for name in ("none", "flip", "5", "10", "50")] == [1, 2, 5, 10, 50]
    assert [str(NAMED[name]) for name in NAMED] == [
        "single view", "flips", "5 crops", "10 crops", "50 views", "dense, 5 scales",
        "views of the training's noise",
    ]  # fmt: skip
    assert str(Plan(crops=10, scales=(64, 80))) == "10 crops, scales 64, 80"
    assert str(Plan(scales=3)) == "1 crop, 3 scales"


def test_scales_smaller_than_the_net_reads_are_left_out_and_said() -> None:
    plan = Plan(scales=(48, 64, 96))
    assert [view.short_side for view in plan.views(PHOTO)] == [64, 96]
    assert plan.notes(PHOTO) == ("the net reads 64 px: scales 48 are left out",)
    assert Plan(scales=(64,)).notes(PHOTO) == ()


@pytest.mark.parametrize(
    ("crops", "scales", "message"),
    [
        (3, 1, r"crops is 3; give 1, 2 \(a mirror image\), 5 or 10"),
        (1, 6, "scales is 6; give 1 to 5, or the short sides in px: 224,256"),
        (1, 0, "scales is 0; give 1 to 5, or the short sides in px: 224,256"),
        (1, (), r"scales is \(\); give short sides in whole pixels"),
        (1, (100, 200), "scales 100, 200 are all smaller than the 224 px that the net reads; give larger ones"),
    ],
)
def test_what_is_no_view_is_said(crops: int, scales: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(StriateError, match=f"^{message}$"):
        views(crops, scales)


def test_an_unknown_name_and_dense_crops() -> None:
    with pytest.raises(StriateError, match=r"^unknown views 'dens'; did you mean 'dense'\?$"):
        Plan.named("dens")
    with pytest.raises(StriateError, match=r"^crops is 10 with dense views, which see every crop; give 1, or 2 to mir"):
        Plan(crops=10, dense=True)


def test_views_of_the_training_are_the_models_own() -> None:
    own = Policy((PadCrop(4), HorizontalFlip())).views((64, 64))
    assert Plan.named("trained").views(PHOTO, own) == own
    with pytest.raises(StriateError, match=r"^views 'trained': the model does not say under what noise it was trained"):
        Plan.named("trained").views(PHOTO)


def test_mirror_images_that_training_never_saw_are_told_of() -> None:
    plain, mirrored = (View(),), (View(weight=0.5), View(flip=True, weight=0.5))
    told = ("training never mirrored an image, and mirror images are averaged in; --crops 5 has none",)
    assert [Plan(crops=crops).notes(PHOTO, plain) for crops in (1, 2, 5, 10)] == [(), told, (), told]
    assert Plan(crops=10).notes(PHOTO, mirrored) == ()
    assert Plan(crops=10).notes(PHOTO) == (), "published weights do not say"


def test_numbers_may_be_numpys():
    assert Plan(crops=np.int64(10), scales=np.int64(5)) == Plan(crops=10, scales=5)
    assert Plan(scales=np.array([256, 224])) == Plan(scales=(256, 224))
