"""Our side: any algorithm in any layout gives the truth, and some looks choose among those that are near it."""

import math

import pytest

from striate import conv
from striate.bench import ours
from striate.bench.layer import Layer
from striate.bench.ours import LAYOUTS, ORACLE, Candidate, Ours, candidates, fastest
from striate.bench.problem import PASSES, Pass, Problem
from striate.bench.subject import CannotDo
from striate.conv.choose import MAX_RELATIVE_ERROR_BF16
from striate.errors import StriateError

LAYER = Layer(in_maps=20, out_maps=33, size=(9, 12), kernel=(3, 3), padding=(1, 1))


@pytest.mark.parametrize("which", PASSES)
def test_every_candidate_gives_the_truth(which: Pass) -> None:
    problem = Problem(layer=LAYER, batch=2, threads=2, which=which)
    found = candidates(problem)
    assert found
    assert ORACLE not in {one.algorithm for one in found}
    for one in found:
        subject = Ours(problem, one)
        subject.run()
        assert problem.error(subject.result()) < 1e-4, one
        assert subject.takes == one.layout
        assert subject.workspace_bytes >= 0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "APART", 0.0)


def test_a_later_look_forgives_a_slow_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, steady, hopeless = (Candidate(name, "nchw") for name in ("winograd4", "winograd6", "direct"))
    looks = [{steady: 2.0, hopeless: 3.0}, {slow: 1.0, steady: 2.5}, {slow: 3.0, steady: 2.0}]
    monkeypatch.setattr(ours, "_look", lambda problem, found, tensors: looks.pop(0))
    assert fastest(Problem(layer=LAYER, batch=1, threads=1)).candidate == slow
    looks = [{slow: 1.0, steady: 2.0}, {steady: 1.5, slow: 9.0}, {steady: 1.5}]
    assert fastest(Problem(layer=LAYER, batch=1, threads=1)).candidate == slow


def test_candidates_of_a_race_share_their_images_and_results() -> None:
    problem = Problem(layer=LAYER, batch=1, threads=1)
    tensors = ours.Tensors(problem)
    first, second = (Ours(problem, Candidate(name, "blocked"), tensors) for name in ("winograd2", "direct"))
    for subject in (first, second):
        subject.run()
        assert problem.error(subject.result()) < 1e-4
    assert first.y.data_ptr() == second.y.data_ptr()
    alone = Ours(problem, Candidate("direct", "blocked"))
    alone.run()
    assert alone.y.data_ptr() != second.y.data_ptr()


def test_a_look_takes_the_fastest_that_is_near_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem(layer=LAYER, batch=1, threads=1)
    looked = {"winograd2": 3.0, "winograd4": math.inf, "winograd6": math.inf}
    monkeypatch.setattr(ours, "_first_runs", lambda problem, one, tensors: looked.get(one.algorithm, 100.0))
    assert fastest(problem).candidate.algorithm == "winograd2"


def test_an_algorithm_by_name_in_a_layout_by_name() -> None:
    chosen = fastest(Problem(layer=LAYER, batch=1, threads=1), "winograd4", ("nchw",))
    assert chosen.candidate == Candidate("winograd4", "nchw")


def test_what_an_algorithm_cannot_do_it_says_why() -> None:
    strided = Layer(in_maps=4, out_maps=4, size=(9, 9), kernel=(3, 3), stride=(3, 3))
    with pytest.raises(CannotDo, match=r"^winograd4 .*stride"):
        candidates(Problem(layer=strided, batch=1, threads=1), "winograd4")
    with pytest.raises(CannotDo, match="none of our fast algorithms can in bfloat16"):
        fastest(Problem(layer=LAYER, batch=1, threads=1, which="weights", precision="bf16"))
    with pytest.raises(CannotDo, match="fft does not compute in bfloat16"):
        fastest(Problem(layer=LAYER, batch=1, threads=1, precision="bf16"), "fft")
    with pytest.raises(StriateError, match="unknown algorithm 'winograd7'; did you mean"):
        candidates(Problem(layer=LAYER, batch=1, threads=1), "winograd7")


@pytest.mark.parametrize("which", ["forward", "data"])
def test_bf16_is_near(which) -> None:
    problem = Problem(layer=LAYER, batch=1, threads=1, which=which, precision="bf16")
    for candidate in candidates(problem):
        subject = Ours(problem, candidate)
        subject.run()
        assert problem.error(subject.result()) <= MAX_RELATIVE_ERROR_BF16, candidate


def test_layouts_are_those_of_the_core() -> None:
    for layout in LAYOUTS:
        assert not conv.refusal("reference", "forward", ours.conv_shape(LAYER, 1), layout, layout)
