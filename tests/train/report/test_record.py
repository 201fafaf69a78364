"""What a record refuses."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from striate.train.report import Example, Mistake, RunRecord, Scored


def scored(confusion: object, samples: int, accuracy: float) -> Scored:
    return Scored(part="test", samples=samples, accuracy=accuracy, loss=0.0, confusion=np.array(confusion))


def test_a_record_cannot_be_changed(record: RunRecord) -> None:
    with pytest.raises(FrozenInstanceError):
        record.net = "vgg"  # type: ignore[misc]  # the point of the test


def test_the_best_epoch_is_found_among_the_epochs(record: RunRecord) -> None:
    assert record.best is record.epochs[2]
    assert replace(record, best_epoch=None).best is None
    with pytest.raises(ValueError, match=r"^best epoch 9 is not among the 4 epochs of the record$"):
        replace(record, best_epoch=9)


def test_an_unknown_outcome_is_refused_with_the_nearest_known_one(record: RunRecord) -> None:
    with pytest.raises(ValueError, match=r"^unknown outcome 'finish'; did you mean 'finished'\?$"):
        replace(record, outcome="finish")


def test_numbers_that_contradict_each_other_are_refused(record: RunRecord) -> None:
    with pytest.raises(ValueError, match=r"^a confusion matrix is square, \[C, C\]; this one has shape \[2, 3\]$"):
        scored([[1, 0, 0], [0, 1, 0]], 2, 1.0)
    with pytest.raises(ValueError, match=r"^the confusion matrix counts 3 images, but 4 were scored$"):
        scored([[1, 1], [0, 1]], 4, 0.5)
    with pytest.raises(ValueError, match=r"^accuracy 0.9 is not the confusion matrix's 2/3$"):
        scored([[1, 1], [0, 1]], 3, 0.9)
    with pytest.raises(ValueError, match=r"^the confusion matrix has 2 classes, the data 3$"):
        replace(record, final=scored([[1, 1], [0, 1]], 3, 2 / 3))
    with pytest.raises(ValueError, match=r"^part 'train' counts 2 classes, but there are 3$"):
        replace(record.data, counts={"train": (1, 2)})
    with pytest.raises(ValueError, match=r"^filters are \[O, I, h, w\]; these have shape \[3, 3\]$"):
        replace(record, filters=np.ones((3, 3)))


def test_an_accuracy_summed_in_single_precision_is_accepted() -> None:
    assert scored([[1, 1], [0, 1]], 3, float(np.float32(2 / 3))).right == 2


@pytest.mark.parametrize(
    "image",
    [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(
        ValueError, match=r"^the example of 'ant' is not a picture: expected uint8 \[H, W, 1 or 3\], got "
    ):
        Example(image=image, label="ant")
    with pytest.raises(ValueError, match=r"^the mistake 'a\.png' is not a picture: "):
        Mistake(image=image, name="a.png", truth="ant", predicted="bee", probability=1.0)
