"""Weights from a CSV: for classes, for images, and every way in which the file may be none."""

from pathlib import Path

import numpy as np
import pytest

from striate.data import ArraySamples
from striate.data.weights import read_weights, sample_weights
from striate.errors import StriateError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "w.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def samples() -> ArraySamples:
    return ArraySamples(np.zeros((4, 2, 2, 1), np.uint8), [0, 1, 1, 2], ["a/1.png", "b/1.png", "b/2.png", "c/1.png"])


def test_of_classes_and_of_images(tmp_path, samples):
    classes = ("a", "b", "c")
    table = read_weights(written(tmp_path, "\ufeffclass, weight\n\nb,3\nc,0\n"))
    assert table == {"class": {"b": 3.0, "c": 0.0}}
    assert sample_weights(table, samples, classes).tolist() == [1, 3, 3, 0]
    images = read_weights(written(tmp_path, 'Image,Weight\nb/2.png,0.5\n"elsewhere, in the test part.png",9\n'))
    assert sample_weights(images, samples, classes).tolist() == [1, 1, 0.5, 1]
    assert sample_weights(table | images, samples, classes).tolist() == [1, 3, 1.5, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gives nothing a weight; its first line is class,weight or image,weight"),
        ("class,weight\n", "gives nothing a weight"),
        ("label,weight\na,1\n", "begins with 'label,weight'; it should begin with class,weight or image,weight"),
        ("class,weight\na,1\nb,two\n", "line 3: the weight is 'two'; give a number, 0 or more"),
        ("class,weight\na,-1\n", "line 2: the weight is '-1'; give a number, 0 or more"),
        ("class,weight\na,inf\n", "line 2: the weight is 'inf'; give a number, 0 or more"),
        ("class,weight\na,1\n\na,2\n", "line 4: 'a' has a weight already; keep one"),
        ("class,weight\na\n", "line 2: 1 columns where the first line has 2"),
        ('class,weight\n"a,1\n', "line 2: unexpected end of data"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(StriateError) as error:
        read_weights(written(tmp_path, text))
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/w.csv")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(StriateError, match=r"cannot read .*w\.csv: No such file"):
        read_weights(tmp_path / "w.csv")
    (tmp_path / "w.csv").write_bytes(b"class,weight\n\xff,1\n")
    with pytest.raises(StriateError, match=r"is not UTF-8 text \(byte 13\)"):
        read_weights(tmp_path / "w.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"class": {"bee": 1}}, "unknown class among the weights: 'bee'; did you mean 'bees'?"),
        ({"class": {"ants": -2}}, "the weight of class 'ants' is -2; give a number, 0 or more"),
        ({"class": {"ants": "2"}}, "the weight of class 'ants' is '2'; give a number, 0 or more"),
        ({"klass": {"ants": 2}}, "unknown kind of weight 'klass'; did you mean 'class'?"),
        (
            {"image": {"x": 2}},
            "none of the 1 images with a weight is in the training part; they are called like 'a/1.png'",
        ),
    ],
)
def test_a_table_that_does_not_fit_the_set(samples, table, message):
    with pytest.raises(StriateError) as error:
        sample_weights(table, samples.relabelled([0, 1, 1, 1]), ("ants", "bees"))
    assert str(error.value) == message
