"""Calibration on cases counted by hand; temperatures that were planted; intervals that can be enumerated."""

import itertools

import numpy as np
import pytest

from striate.errors import StriateError
from striate.evaluate.bootstrap import paired_interval
from striate.evaluate.calibration import Calibration, fit_temperature, temperature_note, tempered
from striate.evaluate.reliability import reliability_chart
from striate.evaluate.uncertainty import Uncertainty, entropy


def two(*confidences: float) -> np.ndarray:
    return np.array([[p, 1 - p] for p in confidences])


def test_ece_counted_by_hand() -> None:
    """Ten images at 95 %, seven right; ten at 65 %, all right: ½·0.25 + ½·0.35."""
    p = two(*[0.95] * 10, *[0.65] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [0] * 10)
    found = Calibration.of(p, labels)
    assert found.ece == pytest.approx(0.3)
    assert found.bins.counts[14] == found.bins.counts[9] == 10
    assert found.bins.accuracy[14] == pytest.approx(0.7)
    assert np.isnan(found.bins.accuracy[0])
    brier = (10 * 2 * 0.35**2 + 7 * 2 * 0.05**2 + 3 * 2 * 0.95**2) / 20
    assert found.brier == pytest.approx(brier)


def test_bins_are_closed_on_the_right() -> None:
    """Guo 2017: bin m is ((m − 1)/15, m/15]; 9/15 is the ninth bin's, and certainty the last's."""
    found = Calibration.of(two(9 / 15, 1.0), np.array([0, 0]))
    assert found.bins.counts[8] == found.bins.counts[14] == 1


def test_the_adaptive_error_sees_inside_a_bin() -> None:
    """All in one bin of equal width, where too sure and too unsure cancel; halves of equal count keep them apart."""
    confidences = np.concatenate([np.full(150, 0.94), np.full(150, 0.995)])
    labels = np.concatenate([np.zeros(150, int), np.repeat([0, 1], [131, 19])])
    found = Calibration.of(two(*confidences), labels)
    assert found.ece == pytest.approx(abs(281 / 300 - 0.9675))
    halves = (150 * 0.06 + 150 * abs(131 / 150 - 0.995)) / 300
    assert found.adaptive_ece > found.ece
    assert found.adaptive_ece >= halves - 1e-12  # finer bins can only add


def test_perfect_answers_and_order() -> None:
    p, labels = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 0])
    found = Calibration.of(p, labels)
    assert (found.ece, found.adaptive_ece, found.brier) == (0, 0, 0)
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 200).round(1)
    p /= p.sum(1, keepdims=True)
    labels, order = rng.integers(0, 4, 200), rng.permutation(200)
    one, other = Calibration.of(p, labels), Calibration.of(p[order], labels[order])
    assert one.ece == pytest.approx(other.ece, abs=1e-12)
    assert one.adaptive_ece == pytest.approx(
        other.adaptive_ece, abs=1e-12
    )  # ties are broken by rightness, not by place


@pytest.mark.parametrize("planted", [0.25, 0.7, 1.0, 1.8, 6.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    """Labels in exact proportion to p: NLL is then least at p itself, so what was sharpened by T comes back by T."""
    p = np.array([[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])
    rows = np.repeat(p, 10, 0)
    labels = np.concatenate([np.repeat(np.arange(3), np.rint(10 * row).astype(int)) for row in p])
    assert fit_temperature(tempered(rows, 1 / planted), labels) == pytest.approx(planted, rel=1e-9)


def test_the_ends_of_the_temperature() -> None:
    assert fit_temperature(two(0.9, 0.8), np.array([0, 0])) == pytest.approx(1 / 100)  # always right: as sure as may be
    assert fit_temperature(two(0.9, 0.8), np.array([1, 1])) == pytest.approx(100)  # always wrong: as unsure
    assert fit_temperature(two(0.5, 0.5), np.array([0, 1])) == 1  # any would do
    assert np.isfinite(fit_temperature(np.array([[1.0, 0.0]] * 3), np.array([0, 0, 1])))
    with pytest.raises(
        StriateError, match=r"^no images to fit a temperature to; a run without a validation part has no"
    ):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64))


def test_a_temperature_at_an_end_is_told() -> None:
    """All right at 90 %: the likeliest temperature is the least there is, whatever the answers are worth."""
    sure = np.array([[0.9, 0.1]] * 3)
    note = temperature_note(fit_temperature(sure, np.array([0, 0, 0])))
    assert note is not None
    assert note.startswith("the temperature ran to its least, 0.01: no validation image is wrong")
    note = temperature_note(fit_temperature(sure, np.array([1, 1, 1])))
    assert note is not None
    assert note.startswith("the temperature ran to its most, 100:")
    assert temperature_note(fit_temperature(sure, np.array([0, 0, 1]))) is None


def test_tempering_is_softmax_of_z_over_t() -> None:
    z = np.random.default_rng(1).normal(0, 3, (5, 4))

    def softmax(v: np.ndarray) -> np.ndarray:
        return np.exp(v) / np.exp(v).sum(1, keepdims=True)

    np.testing.assert_allclose(tempered(softmax(z), 2.5), softmax(z / 2.5), rtol=1e-12)


def test_the_interval_of_a_case_that_can_be_enumerated() -> None:
    """Differences 1, 1, 0, −1: all 4⁴ resamples, their sums' quantiles."""
    wrong, than = np.array([1, 1, 0, 0], bool), np.array([0, 0, 0, 1], bool)
    sums = sorted(sum(draw) for draw in itertools.product([1, 1, 0, -1], repeat=4))
    found = paired_interval(wrong, than, seed=5)
    assert found.difference == pytest.approx(0.25)
    assert found.low == pytest.approx(sums[round(0.025 * 256)] / 4)
    assert found.high == pytest.approx(sums[round(0.975 * 256) - 1] / 4)
    assert paired_interval(wrong, than, seed=5) == found


def test_the_interval_of_many_is_the_normal_one() -> None:
    rng = np.random.default_rng(2)
    than = rng.random(4000) < 0.3
    wrong = np.where(rng.random(4000) < 0.1, ~than, than)
    found = paired_interval(wrong, than)
    d = wrong.astype(float) - than
    half = 1.96 * d.std() / np.sqrt(4000)
    assert found.low == pytest.approx(d.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(d.mean() + half, abs=0.1 * half)


def test_intervals_of_equals_and_of_one_image() -> None:
    same = np.array([True, False, True])
    assert paired_interval(same, same).low == paired_interval(same, same).high == 0
    one = paired_interval(np.array([True]), np.array([False]))
    assert (one.difference, one.low, one.high) == (1, 1, 1)


def test_doubt_splits_into_what_draws_share_and_what_they_do_not() -> None:
    sure_but_opposed = Uncertainty.of(two(0.5), entropy(np.eye(2)[None]).mean(1))
    assert sure_but_opposed.mutual_information == pytest.approx([np.log(2)])
    unsure_together = Uncertainty.of(two(0.5), entropy(two(0.5, 0.5)[None]).mean(1))
    assert unsure_together.mutual_information == pytest.approx([0])
    assert unsure_together.entropy == pytest.approx([np.log(2)])


def test_the_reliability_diagram_draws_a_bar_for_each_bin_that_has_images() -> None:
    svg = reliability_chart(Calibration.of(two(0.95, 0.65), np.array([0, 1])), "net <1>")
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert svg.count('class="bar"') == 2
    assert "net &lt;1&gt;" in svg
    assert "2 images in 15 bins of confidence; the expected calibration error is 35.0%." in svg
