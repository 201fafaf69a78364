"""Classification's measures against scikit-learn and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from striate.tasks import Classification, decode_all

CLASSES = tuple("abcdefg")


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn remarks on samples of one class only
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_measures_are_scikit_learns(seed: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), samples).astype(np.float32)
    labels = rng.integers(0, len(CLASSES), samples)
    found = Classification(CLASSES).metrics(probabilities, labels)
    every = range(len(CLASSES))
    assert found.samples == samples
    assert found.accuracy == pytest.approx(peer.accuracy_score(labels, probabilities.argmax(1)))
    assert found.top5 == pytest.approx(peer.top_k_accuracy_score(labels, probabilities, k=5, labels=list(every)))
    assert np.array_equal(found.confusion, peer.confusion_matrix(labels, probabilities.argmax(1), labels=list(every)))
    normalised = probabilities.astype(np.float64) / probabilities.sum(1, keepdims=True)
    assert found.loss == pytest.approx(peer.log_loss(labels, normalised, labels=list(every)), rel=1e-4)


def test_an_empty_part_has_measures_too() -> None:
    found = Classification(CLASSES).metrics(np.zeros((0, 7)), np.zeros(0, np.int64))
    assert (found.samples, found.accuracy, found.loss, found.top5) == (0, 0.0, 0.0, None)
    assert found.confusion.shape == (7, 7)


def test_five_classes_have_no_top_five() -> None:
    found = Classification(tuple("abcde")).metrics(np.eye(5, dtype=np.float32), np.arange(5))
    assert (found.accuracy, found.top5) == (1.0, None)


def test_a_certain_mistake_costs_a_finite_loss() -> None:
    found = Classification(("a", "b")).metrics(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert math.isfinite(found.loss)
    assert found.loss > 80


def test_a_net_that_is_sure_of_one_class_has_not_named_all_others_second() -> None:
    """All other classes have exactly 0: the true one, the last, is not among the five that `top` would show."""
    sure, task = np.eye(7, dtype=np.float32)[[0, 0]], Classification(CLASSES)
    found = task.metrics(sure, np.array([6, 2]))
    assert [name for name, _ in task.top(sure[0], 5)] == ["a", "b", "c", "d", "e"]
    assert found.top5 == 0.5


@pytest.mark.parametrize("sure", [1.0, 1 + 2**-52])
def test_no_loss_is_below_nothing(sure: float) -> None:
    """A mean of views may be a rounding above 1; and −0 prints as -0.0000."""
    found = Classification(("a", "b")).metrics(np.array([[sure, 0.0]]), np.array([0]))
    assert f"{found.loss:.4f}" == "0.0000"


def test_a_loss_that_is_no_number_stays_none() -> None:
    assert math.isnan(Classification(("a", "b")).metrics(np.full((1, 2), np.nan), np.array([0])).loss)


def test_the_loss_of_a_guess_is_its_chance_loss() -> None:
    task = Classification(CLASSES)
    assert task.loss(torch.zeros(3, 7), torch.tensor([0, 3, 6])).item() == pytest.approx(task.chance_loss)
    assert task.chance_loss == pytest.approx(math.log(7))


def test_label_smoothing_is_szegedys() -> None:
    """(1 − ε)·H(p, y) + ε·H(p, uniform), Szegedy 2016, section 7."""
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 7), torch.tensor([0, 1, 2, 3, 4])
    log_p = logits.log_softmax(1)
    expected = 0.9 * -log_p[range(5), labels].mean() + 0.1 * -log_p.mean()
    assert Classification(CLASSES, label_smoothing=0.1).loss(logits, labels).item() == pytest.approx(expected.item())


def test_the_likeliest_come_first() -> None:
    top = Classification(("ant", "bee", "cat")).top(np.array([0.2, 0.7, 0.1]), 2)
    assert top == [("bee", pytest.approx(0.7)), ("ant", pytest.approx(0.2))]


def test_a_drawing_keeps_the_image_and_adds_a_line() -> None:
    image = np.full((20, 200, 3), 7, np.uint8)
    drawn = Classification(("ant", "bee")).draw(image, np.array([0.1, 0.9]))
    assert drawn.shape == (36, 200, 3)
    assert (drawn[:20] == 7).all()
    assert drawn[20:].min() < 128  # there is ink


def test_decoding_all_leaves_the_net_in_the_mode_it_was_in() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(4, 7)).train()
    batches = [(torch.randn(3, 1, 2, 2), torch.arange(3), torch.arange(3))] * 2
    probabilities, labels = decode_all(net, Classification(CLASSES), batches, torch.device("cpu"))
    assert probabilities.shape == (6, 7)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.allclose(probabilities[:3], probabilities[3:])  # no dropout
    assert net.training
