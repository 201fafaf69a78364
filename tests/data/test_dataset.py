"""The parts of a data set."""

import dataclasses

import numpy as np

from striate.data.dataset import Dataset
from striate.data.samples import ArraySamples


def some(count: int) -> ArraySamples:
    return ArraySamples(np.zeros((count, 4, 4, 1), np.uint8), [0] * count)


def test_parts_are_those_that_there_are_in_the_order_of_listing():
    train, val, test = some(3), some(2), some(1)
    whole = Dataset(name="x", spec="x", classes=("a", "b"), train=train, val=val, test=test, mirror=True)
    assert list(whole.parts) == ["train", "val", "test"]
    assert whole.parts["val"] is val
    assert list(dataclasses.replace(whole, val=None).parts) == ["train", "test"]
    assert list(dataclasses.replace(whole, val=None, test=None).parts) == ["train"]


def test_the_exam_is_the_part_that_chose_least():
    train, val, test = some(3), some(2), some(1)
    whole = Dataset(name="x", spec="x", classes=("a", "b"), train=train, val=val, test=test, mirror=True)
    assert whole.exam == ("test", test)
    assert dataclasses.replace(whole, test=None).exam == ("val", val)
    assert dataclasses.replace(whole, val=None, test=None).exam == ("train", train)
