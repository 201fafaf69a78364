"""Who answers: files, runs, checkpoints, averaged weights; and what the comparison says of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import striate
from striate.errors import StriateError
from striate.evaluate import Panel, Plan, Predictor, Sitting, compare, evaluate
from striate.evaluate.members import averaged_weights, best_checkpoints, reestimate_batch_norms, save_tempered
from striate.evaluate.score import measure
from striate.nets.batch_norms import batch_norms
from striate.nets.weights import load_model
from striate.train.checkpoint import CheckpointFolder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that overlap: noise that is a little redder or a little bluer."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for name, tint in (("red", (14, 0, 0)), ("blue", (0, 0, 14))):
        (root / name).mkdir()
        for index in range(60):
            pixels = rng.integers(0, 230, (20, 24 + index % 5, 3)) + np.array(tint) * rng.normal(1, 1.5)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{index:02}.png")
    return root


@pytest.fixture(scope="module")
def runs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two small nets with batch norm and stochastic depth, every checkpoint kept."""
    output = tmp_path_factory.mktemp("runs")
    settings: dict[str, Any] = {
        "model": "resnet20",
        "model_settings": {"drop_path": 0.3},
        "size": 16,
        "epochs": 3,
        "batch_size": 16,
        "lr": 0.02,
        "keep": 5,
        "precision": "fp32",
        "channels_last": False,
        "threads": 1,
        "output": str(output),
        "verbose": False,
    }
    return [striate.fit(photos, **settings, seed=seed, name=f"seed{seed}").path for seed in (0, 1)]


def test_crops_and_scales_by_the_face(runs: list[Path]) -> None:
    run = striate.Run(runs[0])
    found = run.evaluate(crops=10, scales=5)
    assert (found.views, str(found.plan), found.metrics.samples) == (50, "50 views", 24)
    assert found.probabilities.sum(1) == pytest.approx(1)
    own = run.evaluate(views="trained")  # light: a crop of the padded image, mirrored
    assert own.views == 10
    by_name = run.evaluate(views="50")
    assert by_name.probabilities == pytest.approx(found.probabilities, abs=1e-6)
    with pytest.raises(StriateError, match=r"^views '10' say what crops and scales would say, too; give one or"):
        run.evaluate(views="10", crops=5)


def test_an_ensemble_of_runs_is_the_mean_of_their_answers(runs: list[Path]) -> None:
    alone = [evaluate(run, views="flip").probabilities for run in runs]
    together = evaluate(runs, views="flip")
    assert together.probabilities == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert together.models == tuple(str(run / "best.safetensors") for run in runs)
    assert together.passes == 2 * 2 * 24


def test_a_member_that_was_trained_on_what_is_asked_is_named(runs: list[Path], photos: Path, tmp_path: Path) -> None:
    """Its run had split the same images by another seed."""
    other = striate.fit(
        photos, model="mlp", size=8, epochs=1, split_seed=7, precision="fp32", output=str(tmp_path), verbose=False
    )
    tested, trained = (striate.data.open(photos, split_seed=seed) for seed in (0, 7))
    assert tested.test is not None
    keys = {trained.train.key(i) for i in range(len(trained.train))}
    seen = sum(tested.test.key(i) in keys for i in range(24))
    assert 0 < seen < 24
    assert evaluate([runs[0], other.path]).notes == (
        f"{other.path} split these data otherwise than {runs[0]}: it was trained on {seen} of the 24 images of this "
        "part",
    )
    assert evaluate([runs[0], other.path], part="train").notes == ()
    rows = compare(Panel.of([runs[0], other.path]), plans=[Plan()]).rows
    assert [len(row.evaluation.notes) for row in rows] == [0, 1]
    assert evaluate(runs).notes == ()


def test_prediction_is_evaluation(runs: list[Path], photos: Path) -> None:
    panel = Panel.of(runs[0])
    plan = Plan(crops=10, scales=2)
    found = measure(panel, "test", plan)
    _, samples = panel.exam.part("test")
    paths = [samples.name(i) for i in range(len(samples))]
    predictor = Predictor(runs[0] / "best.safetensors", plan=plan, batch_size=33)
    for prediction, row in zip(predictor.predict(paths), found.probabilities, strict=True):
        told = dict(prediction.top)
        assert [told[name] for name in found.classes] == pytest.approx(row.tolist(), abs=1e-6)
    by_face = striate.Run(runs[0]).predict(paths[:2], crops=10, scales=2)
    assert by_face[1].top[0][1] == pytest.approx(found.probabilities[1].max(), abs=1e-6)


def test_the_best_checkpoints_come_by_validation_error_then_loss(runs: list[Path]) -> None:
    rows = striate.Run(runs[0]).history
    ranked = sorted(rows, key=lambda row: (-(row.val_accuracy or 0), row.val_loss))
    members, _ = best_checkpoints(runs[0], 2)
    assert [member.name for member in members] == [f"{runs[0]} at step {row.step}" for row in ranked[:2]]
    best, _ = load_model(runs[0] / "best.safetensors")
    for name, value in best.state_dict().items():
        assert torch.equal(value, members[0].net.state_dict()[name]), name
    assert evaluate(runs[0], checkpoints=2).models == tuple(member.name for member in members)


def test_averaged_weights_are_the_mean_and_their_batch_norms_are_of_the_data(runs: list[Path]) -> None:
    member, _ = averaged_weights(runs[0], 3)
    store = CheckpointFolder(runs[0] / "checkpoints", 3)
    states = [store.load(step).tensors for step in store.steps()[-3:]]
    for name, parameter in member.net.named_parameters():
        expected = torch.stack([state[f"model.{name}"].double() for state in states]).mean(0)
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-6, atol=1e-8)
    means = torch.stack([state["model.bn1.running_mean"] for state in states]).mean(0)
    assert not torch.allclose(member.net.get_buffer("bn1.running_mean"), means)
    assert not any(layer.training for layer in member.net.modules())
    assert evaluate(runs[0], swa=3).metrics.samples == 24


@pytest.mark.parametrize(
    ("frozen", "still"),
    [
        ({"freeze_norms": True}, ("bn1", "layer1", "layer2", "layer3")),
        ({"freeze": "layer1"}, ("bn1", "layer1")),
        ({"unfreeze_epochs": 1}, ("bn1", "layer1", "layer2")),  # two epochs: the scores, then the last stage as well
    ],
)
def test_batch_norms_that_a_run_froze_keep_what_it_was_trained_with(
    frozen: dict[str, Any], still: tuple[str, ...], runs: list[Path], photos: Path, tmp_path: Path
) -> None:
    model = runs[0] / "best.safetensors"
    settings: dict[str, Any] = {"model": "resnet20", "model_settings": {"drop_path": 0.3}, "size": 16, "epochs": 2}
    settings |= {"pretrained": model, "batch_size": 16, "precision": "fp32", "threads": 1, "output": tmp_path}
    striate.fit(photos, **settings, **frozen, name="tuned", verbose=False)
    begun, _ = load_model(model)
    member, _ = averaged_weights(tmp_path / "tuned", 2)
    for name, norm in batch_norms(member.net).items():
        assert norm.running_var is not None
        same = torch.equal(norm.running_var, begun.get_buffer(f"{name}.running_var"))
        assert same == name.startswith(still), name


def test_batch_norms_get_the_plain_mean_over_batches() -> None:
    class Batches:
        def epoch(self, epoch: int) -> Any:
            for level in (1.0, 4.0):
                x = torch.tensor([[level], [level + 2]])[:, :, None, None]
                yield type("Batch", (), {"images": x})

    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.9)).eval()
    reestimate_batch_norms(net, Batches())  # type: ignore[arg-type]  # all that it asks of a loader
    assert net[0].running_mean.tolist() == [3.5]  # type: ignore[union-attr]  # means 2 and 5
    assert net[0].running_var.tolist() == [2.0]  # type: ignore[union-attr]  # of (1, 3) and of (4, 6), by n − 1
    assert net[0].momentum == 0.1
    assert not any(layer.training for layer in net.modules())


def test_what_checkpoints_there_are_not(runs: list[Path]) -> None:
    with pytest.raises(
        StriateError,
        match=r"seed0 has 3 validated checkpoints, and 9 are asked for; ask for no more, or train with --keep 9$",
    ):
        evaluate(runs[0], checkpoints=9)
    with pytest.raises(
        StriateError, match=r"seed0 has 3 checkpoints, and 9 are asked for; ask for no more, or train with --k"
    ):
        evaluate(runs[0], swa=9)
    with pytest.raises(StriateError, match=r"^0 checkpoints are asked for; give 1 or more$"):
        evaluate(runs[0], swa=0)
    with pytest.raises(StriateError, match=r"best\.safetensors is no run folder: only a run has checkpoints; give"):
        evaluate(runs[0] / "best.safetensors", checkpoints=1)
    with pytest.raises(StriateError, match=r"^checkpoints are either averaged in their answers or \(swa\) in the"):
        evaluate(runs[0], checkpoints=2, swa=2)
    with pytest.raises(
        StriateError, match=r"^no model to evaluate; give a run folder, a model file or a published net$"
    ):
        evaluate([])


def test_stochastic_depth_sampled(runs: list[Path]) -> None:
    found = evaluate(runs[0], samples=8, seed=4)
    assert found.passes == 8 * 24
    assert (found.uncertainty.mutual_information > 0).all()
    assert (found.uncertainty.mutual_information <= found.uncertainty.entropy).all()
    again = evaluate(runs[0], samples=8, seed=4, batch_size=7, workers=0)
    assert again.probabilities == pytest.approx(found.probabilities, abs=1e-6)


def test_a_temperature_is_fitted_on_validation_saved_and_used(runs: list[Path], tmp_path: Path, photos: Path) -> None:
    plain, found = evaluate(runs[0]), evaluate(runs[0], calibrate=True)
    assert found.temperature is not None
    assert found.untempered is not None
    assert found.untempered.ece == plain.calibration.ece
    assert found.metrics.accuracy == plain.metrics.accuracy
    panel = Panel.of(runs[0])
    val = evaluate(runs[0], part="val").metrics.loss
    save_tempered(tmp_path / "calm.safetensors", panel.members[0].net, panel.cards[0], found.temperature)
    calm = evaluate(tmp_path / "calm.safetensors", str(photos))
    assert calm.probabilities == pytest.approx(found.probabilities, abs=1e-6)
    assert evaluate(tmp_path / "calm.safetensors", str(photos), part="val").metrics.loss <= val
    _, samples = panel.exam.part("test")
    (said,) = Predictor(tmp_path / "calm.safetensors").predict([samples.name(0)])
    assert said.top[0][1] == pytest.approx(found.probabilities[0].max(), abs=1e-6)
    with pytest.raises(StriateError, match=r"^a temperature fitted on the validation part cannot be judged on it"):
        evaluate(runs[0], part="val", calibrate=True)


def test_the_comparison_has_the_issues_rows(runs: list[Path]) -> None:
    found = compare(Panel.of(runs), "test", sitting=Sitting(samples=3))
    assert [row.name for row in found.rows] == [
        "single view", "flips", "10 crops", "50 views", "3 samples",
        "ensemble of 2, single view", "ensemble of 2, 50 views",
    ]  # fmt: skip
    first, *others = found.rows
    assert first.against is None
    for row in others:
        assert row.against is not None
        assert row.against.low <= row.against.difference <= row.against.high
        assert row.error - first.error == pytest.approx(row.against.difference)
    assert [row.evaluation.passes for row in found.rows[:2]] == [24, 48]
