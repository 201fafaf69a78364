"""Plans: which is chosen of what was measured, what each is made of, and that each ends as a model that answers."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from striate.cli.transfer_print import print_evidence
from striate.data import Dataset
from striate.errors import StriateError
from striate.nets.trained import load_trained
from striate.nets.weights import ModelCard
from striate.train import RunFolder, Settings
from striate.train.progress import Silent
from striate.train.transfer.amount import Amount, noise_for, some_of_each
from striate.train.transfer.comparison import AUTO, Comparison, Trial, compare, curves_chart, interval
from striate.train.transfer.evidence import Evidence, PlaceEvidence, gather
from striate.train.transfer.ladder import climb, depth_chart, ladder_csv
from striate.train.transfer.page import write_page
from striate.train.transfer.plans import EPOCHS, Plan, choose, plan_settings
from striate.train.transfer.probes import fit_probe, softmax_regression
from striate.train.transfer.probing import Start, spread_of
from striate.train.transfer.project import Done, Project
from striate.train.transfer.source import open_source

CLASSES = ("dark", "mixed", "light")


@pytest.mark.parametrize("plan", ["probe", "few", "more", "scratch"])
def test_every_plan_ends_as_a_model_that_answers(plan: Plan, project: Callable[..., Project]) -> None:
    made = project()
    done = made.carry_out(plan, Silent())
    assert done.part == "test"
    assert done.samples == 18
    net, card = load_trained(done.folder.model)
    assert card.classes == CLASSES
    assert net.spec.name == ("resnet20" if plan == "scratch" else "cut")
    assert RunFolder.open(done.folder.path).settings().data == "greys"
    assert (card.data, card.split) == ("greys", made.settings.split)  # the file alone says what it may be asked
    if plan == "probe":
        assert done.accuracy > 0.8


def test_plans_are_what_they_say(tmp_path: Path) -> None:
    base = Settings(model="resnet20", pretrained="x.safetensors", batch_size=8)
    card = ModelCard(
        net="cut",
        classes=CLASSES,
        in_chans=3,
        input_size=(16, 16),
        settings={"net": "resnet20", "place": "layer3"},
    )
    begun = Start(
        net=card.build(), card=card, file=tmp_path / "probe.safetensors", told="logistic", penalty=0.25, spread=8.0
    )

    def settings(plan: Plan, start: Start | None = begun) -> Settings:
        return plan_settings(plan, base, start, steps=50, images=24, classes=3, mirror=True)

    few, more, scratch = settings("few"), settings("more"), settings("scratch", None)
    assert (few.freeze, more.freeze) == ("base.net.layer2", "")
    for one in (few, more):
        assert (one.model, one.model_settings, one.pretrained) == ("cut", card.settings, str(begun.file))
        assert (one.weight_decay, one.label_smoothing) == (0.25, 0.0), "what the probe was fitted to"
        assert (one.freeze_norms, one.explosion) == (True, 0.0)
        assert one.anchor > 0
    assert (scratch.model, scratch.pretrained, scratch.freeze, scratch.anchor) == ("resnet20", None, "", 0)
    for one in (few, more, scratch):
        assert one.max_steps == 50
        per_epoch = one.repeat * 24 // 8
        assert one.epochs * per_epoch >= 50, "the budget is used up"
        assert 1 <= one.epochs <= 2 * EPOCHS
    long = plan_settings("more", base, begun, steps=50, images=10_000, classes=3, mirror=True)
    assert long.epochs == 1
    steep = settings("few", dataclasses.replace(begun, spread=400.0))
    assert steep.lr == pytest.approx(0.01), "4 / λ, where that is less than the plan's"
    with pytest.raises(StriateError, match="unknown plan that trains 'probe'"):
        settings("probe")


def test_the_fewer_images_the_more_noise() -> None:
    few, some, many = (noise_for(n, mirror=True).noises for n in (10, 300, 5000))
    assert few[0].scale[0] < some[0].scale[0] < many[0].scale[0]
    assert few[-1].magnitude > some[-1].magnitude
    assert type(many[-1]).__name__ == "HorizontalFlip"


def test_a_draw_has_so_many_of_each_and_is_another_with_another_seed(data: Dataset) -> None:
    labels = data.train.labels
    one, other = (some_of_each(labels, 4, seed) for seed in (0, 1))
    assert np.bincount(labels[one]).tolist() == [4, 4, 4]
    assert one.tolist() == some_of_each(labels, 4, 0).tolist() != other.tolist()
    assert len(some_of_each(labels, 100, 0)) == len(labels)


def test_evidence_on_rows_whose_classes_lie_apart_and_on_noise() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    noise = draw.normal(size=(60, 12)).astype(np.float32)
    apart = noise + 6 * np.eye(12, dtype=np.float32)[labels]
    evidence = gather({"early": noise, "late": apart}, apart, labels, 3)
    early, late = evidence.places
    assert abs(early.kappa) < 0.3
    assert late.kappa > 0.9
    assert late.apart > early.apart
    assert evidence.answers > 0.9
    assert gather({"late": apart}, noise, labels, 3).answers < 0.2, "left out, noise misleads if anything"
    assert (evidence.best, evidence.deepest) == (late, late)
    assert evidence.amount == Amount(images=60, least=20, classes=3, most=20)


def test_a_constant_answer_is_no_knowledge() -> None:
    """One image of a class beside forty of another: 40 of 41 are right by saying always the same."""
    draw = np.random.default_rng(0)
    labels = np.array([0] + [1] * 40)
    noise = draw.normal(size=(41, 12)).astype(np.float32)
    seen = gather({"late": noise}, np.zeros((41, 5), np.float32), labels, 2)
    assert seen.amount.chance == pytest.approx(40 / 41)
    assert seen.chance == pytest.approx(10 / 11)
    assert seen.deepest.accuracy == pytest.approx(40 / 41)
    assert (seen.known, seen.deepest.kappa, seen.answers) == (pytest.approx(0), pytest.approx(0), pytest.approx(0))
    own = noise[1:] / np.linalg.norm(noise[1:], axis=1, keepdims=True)
    other = noise[0] / np.linalg.norm(noise[0])
    ratio = np.linalg.norm(own - other, axis=1).mean() / np.linalg.norm(own - own.mean(0), axis=1).mean()
    assert seen.deepest.apart == pytest.approx(ratio, rel=1e-5), "the only image of a class is its mean"


def test_with_one_image_of_every_class_nothing_is_measured_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = np.eye(3, 8, dtype=np.float32)
    seen = gather({"early": rows, "late": rows}, rows, np.arange(3), 3)
    assert not seen.is_known
    choice = choose(seen)
    assert choice.plan == "probe"
    assert "With one image of every class none can be left out" in choice.reason
    print_evidence(seen, choice)
    said = capsys.readouterr().out
    assert "nan" not in said
    assert said.startswith("3 training images of 3 classes, 1 of the smallest\nplan probe: little data")
    done = Done(
        plan="probe", folder=RunFolder(tmp_path), part="val", accuracy=0.5, samples=6, seconds=1.0, told="on late"
    )
    for chosen in (choice, None):
        write_page(tmp_path / "page.html", source="a", data="b", command="c", evidence=seen, choice=chosen, done=done)
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert "nan" not in page
        assert "With one image of every class none can be left out" in page
        assert 'href="#evidence"' in page


def test_a_comparison_counts_every_trial_and_auto_is_one_of_the_plans(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    made = project()
    told: list[Trial] = []
    compared = compare(made, Silent(), sizes=(2, 4), seeds=2, plans=("probe",), told=told.append)
    assert [(trial.per_class, trial.seed) for trial in told] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    assert not list(Path(made.settings.output).glob("probe-*/*.safetensors")), "sixty models are not kept"
    compare(made, Silent(), sizes=(4,), seeds=1, plans=("few",))
    assert not list(Path(made.settings.output).glob("few-*/*.safetensors"))
    assert not list(Path(made.settings.output).glob("sources/cut-*"))
    with pytest.raises(
        StriateError, match=r"class 'dark' of greys has 8 training images; give --sizes of at most that"
    ):
        compare(made, Silent(), sizes=(20,))
    assert compared.part == "test"


def trials(chosen: Plan) -> tuple[Trial, ...]:
    by_plan: dict[Plan, tuple[float, float]] = {
        "probe": (0.8, 0.9), "few": (0.85, 0.95), "more": (0.7, 0.8), "scratch": (0.3, 0.4),
    }  # fmt: skip
    return tuple(
        Trial(per_class=size, seed=seed, plan=plan, accuracy=accuracies[seed], seconds=1.0, chosen=chosen)
        for size in (10, 30)
        for plan, accuracies in by_plan.items()
        for seed in (0, 1)
    )


def test_points_intervals_and_what_auto_reaches() -> None:
    compared = Comparison(source="s", data="d", part="test", images=100, steps=10, trials=trials("probe"))
    assert compared.best(10).plan == "few"
    assert compared.point(10, AUTO).mean == pytest.approx(0.85)
    assert compared.chosen(30) == {"probe": 2}
    low, high = compared.point(10, "few").low, compared.point(10, "few").high
    assert high == 1.0  # 12.7 standard errors of two values, and no share is over 1
    assert low == pytest.approx(0.9 - 12.706 * 0.05, rel=1e-3)
    assert interval([0.5]) == (0.5, 0.5, 0.5)
    many = [0.5 + 0.01 * i for i in range(12)]  # t of 11 degrees of freedom: 2.201 (Fisher and Yates 1938, table III)
    assert interval(many)[2] - np.mean(many) == pytest.approx(2.201 * np.std(many, ddof=1) / 12**0.5, rel=1e-4)


def test_the_page_says_why_which_layer_and_where_each_plan_wins(
    tmp_path: Path, project: Callable[..., Project]
) -> None:
    made = project()
    rows, labels = made.features(made.data.train), made.data.train.labels
    ladder = climb(rows, labels, rows, labels, 3, classifiers=("ridge", "nearest mean"), splits=2, per_class=4)
    compared = Comparison(source="s", data="<b>d", part="test", images=100, steps=10, trials=trials("few"))
    write_page(
        tmp_path / "page.html", source="a/s.pth", data="<b>d", command="striate transfer", evidence=made.evidence(),
        ladder=ladder, compared=compared,
    )  # fmt: skip
    page = (tmp_path / "page.html").read_text()
    assert "report.html" not in page
    assert "Why this plan?" in page
    assert "Which layer knows most?" in page
    assert "Where does each plan win?" in page
    assert "few does best on &lt;b&gt;d with 30 images of a class: 90.0" in page
    assert page.count("<svg role") == 2
    assert "<b>d" not in page
    assert ladder_csv(ladder).splitlines()[0] == "layer,features,classifier,per_class,splits,mean,deviation"
    assert len(ladder_csv(ladder).splitlines()) == 1 + 3 * 2
    assert depth_chart(ladder).count("polyline") == 2
    assert curves_chart(compared).count("polyline") == 4


def test_a_comparison_of_one_image_of_a_class_is_of_one_image(tmp_path: Path) -> None:
    one = tuple(dataclasses.replace(trial, per_class=1) for trial in trials("few") if trial.per_class == 30)
    compared = Comparison(source="s", data="d", part="test", images=100, steps=10, trials=one)
    write_page(tmp_path / "page.html", source="s", data="d", command="c", compared=compared)
    assert "few does best on d with 1 image of a class: 90.0" in (tmp_path / "page.html").read_text()


def test_the_page_says_by_how_much_the_best_plan_is_ahead(tmp_path: Path) -> None:
    ahead = Comparison(source="s", data="d", part="test", images=100, steps=10, trials=trials("few"))
    behind = tuple(
        dataclasses.replace(trial, accuracy=0.99) if (trial.plan, trial.per_class) == ("scratch", 30) else trial
        for trial in ahead.trials
    )
    write_page(
        tmp_path / "page.html", source="s", data="d", command="c", compared=dataclasses.replace(ahead, trials=behind)
    )
    page = (tmp_path / "page.html").read_text()
    assert "with 10, few is best, 55.0 points ahead of scratch; with 30, training from scratch is best." in page


def test_a_source_is_found_or_refused(tmp_path: Path, project: Callable[..., Project]) -> None:
    with pytest.raises(StriateError, match="no run, model file or file of weights, and no published weights"):
        open_source(str(tmp_path / "nothing"))
    (tmp_path / "odd.pth").write_bytes(b"PK")
    with pytest.raises(
        StriateError, match=r"odd\.pth does not say of which net it holds the weights; give --model NET"
    ):
        open_source(str(tmp_path / "odd.pth"))
    with pytest.raises(StriateError, match="make a model file of the two with `striate convert`"):
        open_source("lenet.caffemodel")
    done = project().carry_out("probe", Silent())
    assert open_source(str(done.folder.path)).net.spec.name == "cut", "what was transferred can be transferred again"


def test_a_net_of_one_size_takes_no_other(project: Callable[..., Project]) -> None:
    made = project()
    done = made.carry_out("probe", Silent())
    source = open_source(str(done.folder.path))
    with pytest.raises(StriateError, match="--size 24: cut takes 16×16 px only"):
        Project.of(source, made.data, made.settings.replace(size=24), made.cache)


def place(name: str, kappa: float, accuracy: float) -> PlaceEvidence:
    return PlaceEvidence(place=name, kappa=kappa, accuracy=accuracy, apart=1.1)


def evidence(least: int, answers: float, *places: PlaceEvidence) -> Evidence:
    return Evidence(amount=Amount(images=2 * least, least=least, classes=2), places=places, answers=answers)


NEAR_PLACES = (place("early", 0.2, 0.6), place("late", 0.6, 0.9))
FAR_PLACES = (place("early", 0.7, 0.95), place("late", 0.6, 0.7))


@pytest.mark.parametrize(
    ("seen", "plan", "words"),
    [
        (evidence(5, 0.5, *NEAR_PLACES), "probe", "little data, similar: a linear classifier on top"),
        (evidence(5, -0.3, *NEAR_PLACES), "probe", "little data, different: linear classifiers on every stage"),
        (evidence(9, 0.5, *NEAR_PLACES), "probe", "18 images are few for that (from 20 on)"),
        (evidence(10, 0.2, *NEAR_PLACES), "few", "(κ 0.20 ± 0.22 of 0.60; under 50%, and by more than that error"),
        (evidence(10, 0.0, *NEAR_PLACES), "more", "20 images are many for that (from 20 on)"),
        (evidence(5000, 0.5, *NEAR_PLACES), "few", "much data, similar: fine-tune a few layers"),
        (evidence(5000, 0.0, *NEAR_PLACES), "more", "much data, different: fine-tune more layers"),
        (evidence(5000, 0.5, *FAR_PLACES), "more", "early knows more than the deepest layer"),
        (
            evidence(30, 0.3, place("late", 0.3, 0.70)),
            "more",
            "the best knows little (κ 0.40 with all images, under 0.45)",
        ),
        (
            evidence(30, 0.3, place("late", 0.3, 0.75)),
            "few",
            "no earlier layer is sure to know more than late; 60 images",
        ),
    ],
)
def test_the_lectures_table_of_amount_and_likeness(seen: Evidence, plan: str, words: str) -> None:
    choice = choose(seen)
    assert choice.plan == plan
    assert words in choice.reason


def test_without_a_part_to_measure_on_nothing_is_promised(project: Callable[..., Project]) -> None:
    made = project()
    bare = dataclasses.replace(made, data=dataclasses.replace(made.data, val=None, test=None))
    with pytest.raises(StriateError, match="greys has no test and no validation images to measure on"):
        bare.carry_out("probe", Silent())


@pytest.mark.parametrize("plan", ["few", "more"])
def test_fine_tuning_goes_on_from_the_probe(plan: Plan, project: Callable[..., Project]) -> None:
    """At a rate of nothing it ends where the probe is; and at its own rate the classifier, alone, stays there too."""
    made = project()
    probe, _ = load_trained(made.carry_out("probe", Silent()).folder.model)
    still = dataclasses.replace(made, lr=1e-12)
    begun, _ = load_trained(still.carry_out(plan, Silent()).folder.model)
    x = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(begun(x), probe(x), rtol=1e-3, atol=1e-3)


def test_the_probe_is_where_its_loss_and_its_penalty_have_no_slope() -> None:
    """What `penalty` says is what weight decay must be for SGD on the mean loss to stay."""
    draw = np.random.default_rng(0)
    for classes in (2, 3):
        labels = np.repeat(np.arange(classes), 20)
        rows = (draw.normal(size=(len(labels), 6)) + 2 * np.eye(6)[labels] + 5).astype(np.float32)
        probe = fit_probe("logistic", rows, labels, classes)
        assert probe.linear is not None
        assert probe.penalty is not None
        features = torch.from_numpy((rows - probe.linear.centre) * probe.linear.scale)
        weight, bias = (torch.from_numpy(t).requires_grad_() for t in (probe.linear.weight, probe.linear.bias))
        loss = torch.nn.functional.cross_entropy(features @ weight.T + bias, torch.from_numpy(labels))
        (loss + probe.penalty / 2 * weight.square().sum()).backward()
        assert weight.grad is not None
        assert bias.grad is not None
        assert weight.grad.abs().max() < 1e-3
        assert bias.grad.abs().max() < 1e-3
        again = softmax_regression(rows, labels, classes, probe.penalty)
        np.testing.assert_allclose(again.scores(rows), probe.linear.scores(rows), atol=0.02)
        assert spread_of(rows, probe.linear) == pytest.approx(
            np.linalg.eigvalsh(np.cov(features.numpy().T, bias=True))[-1], rel=1e-4
        )


def test_a_classifier_that_hardly_says_anything_is_not_begun_with(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cross-validation may choose a penalty that leaves nothing to learn from, and that no rate is steady under."""
    import striate.train.transfer.probes as probes

    monkeypatch.setattr(probes, "PENALTIES", (1e-6,))
    done = project().carry_out("few", Silent())
    settings = done.folder.settings()
    assert settings.weight_decay == 1.0
    assert "(λ=1)" in done.told
    assert done.accuracy > 0.5
