"""Plans: layers, space files, and what is refused."""

import tomllib
from pathlib import Path

import pytest

from striate.errors import StriateError
from striate.search.begin import conclude_plan
from striate.search.plan import Stage, plan_from, read_space_file, stages_from, to_toml
from striate.search.space import Range
from striate.train import Settings

SPACE_FILE = """
description = "an example"
model = "mlp"
lr = 0.5
[model_settings]
hidden = [16]
[space]
weight_decay = "1e-6:1e-2:log"
model_settings.dropout = {low = 0.0, high = 0.5}
[search]
sampler = "tpe"
keep = 2
[[stage]]
trials = 8
epochs = 1
[[stage]]
trials = 4
epochs = 3
space = {weight_decay = "1e-4:1e-3:log"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "space.toml"
    path.write_text(SPACE_FILE)
    return path


def test_a_space_file_is_a_recipe_with_a_space_and_stages(file: Path) -> None:
    plan = conclude_plan("digits", {}, {}, files=[file])
    assert plan.settings == Settings(model="mlp", lr=0.5, model_settings={"hidden": [16]})
    decay, dropout = Range(low=1e-6, high=1e-2, log=True), Range(low=0.0, high=0.5)
    assert plan.space == {"model_settings.dropout": dropout, "weight_decay": decay}
    assert plan.stages[1] == Stage(trials=4, epochs=3, space={"weight_decay": Range(low=1e-4, high=1e-3, log=True)})
    assert (plan.sampler, plan.keep, plan.pruner, plan.trials) == ("tpe", 2, "median", 12)


def test_flags_win_over_the_file_in_either_direction(file: Path) -> None:
    given = {"weight_decay": "0.01", "model_settings.hidden": "[8]"}
    plan = conclude_plan("digits", given, {"lr": "0.1:1:log"}, files=[file], stages="5x2", sampler="grid", keep=0)
    assert set(plan.space) == {"lr", "model_settings.dropout"}
    assert plan.settings.weight_decay == 0.01
    assert plan.settings.model_settings == {"hidden": [8]}
    assert (plan.stages, plan.sampler, plan.keep) == ((Stage(trials=5, epochs=2),), "grid", 0)


def test_a_plan_written_and_read_back_is_the_same(file: Path) -> None:
    plan = conclude_plan("digits", {"milestones": "3,5"}, {"optimizer": "sgd,adamw"}, files=[file], seed=7)
    assert plan_from([tomllib.loads(to_toml(plan))], {}, {}) == plan


def test_nothing_said_about_stages_is_coarse_to_fine() -> None:
    plan = conclude_plan(None, {}, {"lr": "0.1:1:log"})
    assert plan.stages == stages_from("40x2,20x6,10x15")
    assert conclude_plan(None, {}, {"lr": "0.1:1"}, trials=7).stages == (Stage(trials=7, epochs=10),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = 1", "nothing to search: give a range, e.g. --lr 1e-4:1e-1:log, or --space FILE"),
        ('[space]\nlr = "0.1"', r"--lr: expected LOW:HIGH, LOW:HIGH:log or choices a,b,c; got '0\.1'"),
        ('[space]\nlr = "1:2"\n[search]\nsampler = "bayes"', "unknown --sampler 'bayes'"),
        (
            '[space]\nlr = "1:2"\n[search]\nsamples = 3',
            r"\[search\]: unknown setting 'samples'; did you mean 'sampler'",
        ),
        ('[space]\nlr = "1:2"\n[[stage]]\ntrials = 3', r"\[\[stage\]\]: expected trials, epochs and perhaps space"),
        (
            '[space]\nlr = "1:2"\n[[stage]]\ntrials = 3\nepochs = 1\nspace = {momentum = "0:0.5"}',
            "stage 3x1 narrows --momentum, which is not searched",
        ),
        ("space = 3", r"space\.toml: space: expected a table of settings and what to search; got 3"),
        ("[space]\nmodel_settings = 3", "space: expected a table model_settings of the net's own; got 3"),
        ("search = 3", r"\[search\]: expected a table; got 3"),
        ("stage = 3", r"\[\[stage\]\]: expected a table for each stage; got 3"),
        ('[space]\nlr = "1:2"\n[[stage]]\ntrials = 2.5\nepochs = 1', r"stage 2\.5x1: expected .* whole numbers"),
        ('[space]\nlr = "1:2"\n[[stage]]\ntrials = 2\nepochs = "x"', "stage 2xx: expected .* whole numbers"),
        ('[space]\nlr = {low = "a", high = 1}', r"--lr: expected \{low = NUMBER, high = NUMBER, log = true or false\}"),
        ('[space]\nlr = {low = 0.1, high = 1, log = "no"}', "--lr: expected .*log = true or false"),
        ("[space]\nbatch_size = {low = 16.5, high = 64}", "of batch_size: its ends are whole numbers"),
        ('[space]\nmodel = ["resnet81", "resnet20"]', "unknown net 'resnet81'; did you mean"),
        ('[space]\npolicy = ["lite", "none"]', "unknown --policy 'lite'; did you mean 'light'"),
    ],
)
def test_a_bad_space_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(StriateError, match=message):
        conclude_plan("digits", {}, {}, files=[path])


def test_the_file_of_a_bad_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text("learning_rate = 1.0")
    with pytest.raises(StriateError, match=r"space file .*space\.toml: unknown setting 'learning_rate'"):
        read_space_file(tmp_path / "space.toml")


def test_an_unknown_space_is_named_with_those_there_are() -> None:
    with pytest.raises(StriateError, match=r"unknown space 'lecture'; did you mean 'lectures'\?"):
        read_space_file("lecture")


@pytest.mark.parametrize("text", ["40", "40x", "x5", "40x5;", "0x5", "-1x5", "²x5"])
def test_stages_that_are_none(text: str) -> None:
    with pytest.raises(StriateError, match="expected TRIALSxEPOCHS"):
        stages_from(text)


def test_the_lectures_space_is_theirs_in_our_units() -> None:
    plan = plan_from([read_space_file("lectures")], {}, {})
    scale = 64  # grey levels: the mean deviation of CIFAR-10's channels
    coarse, fine = plan.space, plan.stages[1].space
    for space, reg, lr in ((coarse, (-5, 5), (-6, -3)), (fine, (-4, 0), (-4, -3))):
        assert (space["lr"].at(0), space["lr"].at(1)) == pytest.approx([scale * 10**e for e in lr])
        assert (space["weight_decay"].at(0), space["weight_decay"].at(1)) == pytest.approx([10**e / scale for e in reg])
    assert plan.trials == 100
    assert {stage.epochs for stage in plan.stages} == {5}


def test_a_setting_is_no_range_in_one_stage_and_words_in_another() -> None:
    stage = {"trials": 2, "epochs": 1, "space": {"model_settings": {"hidden": ["few", "many"]}}}
    with pytest.raises(StriateError, match=r"--set hidden is a range in one stage, 1:9, and options in another, 'few'"):
        plan_from([{"space": {"model_settings": {"hidden": "1:9"}}, "stage": [stage]}], {}, {})


def test_the_number_of_the_draw_fits_the_generator() -> None:
    assert plan_from([{"space": {"lr": "0.1:1"}}], {}, {}, seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(StriateError, match=r"^--draw 9223372036854775808: expected a number below 2⁶³"):
        plan_from([{"space": {"lr": "0.1:1"}}], {}, {}, seed=2**63)
