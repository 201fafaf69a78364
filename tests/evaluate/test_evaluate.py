"""Evaluation and prediction: the same images, read the same way, give the same answers as training's own end."""

import contextlib
import dataclasses
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate.data import Loader, Preprocess
from striate.data import open as open_data
from striate.errors import StriateError
from striate.evaluate import Predictor, evaluate, find_images, model_path
from striate.nets.weights import load_model


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that a net can tell apart: reddish and bluish noise, with one odd size and one odd format each."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for name, tint in (("red", (120, 0, 0)), ("blue", (0, 0, 120))):
        (root / name).mkdir()
        for index in range(30):
            pixels = rng.integers(0, 130, (20 + index, 24, 3), np.uint8) + np.array(tint, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:02}.{'png' if index % 2 else 'jpg'}")
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> striate.Run:
    settings = {"model": "mlp", "model_settings": {"hidden": [8]}, "size": 16, "epochs": 6, "batch_size": 8}
    output = str(tmp_path_factory.mktemp("runs"))
    return striate.fit(photos, **settings, precision="fp32", output=output, name="run", verbose=False)


def test_the_face_tells_of_the_run(run: striate.Run) -> None:
    assert repr(run).startswith("Run(")
    assert len(run.history) == 6
    assert run.best in run.history
    assert run.report.is_file()
    assert run.settings.size == 16


def test_a_run_is_found_from_any_folder(run: striate.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path.parent)
    here = striate.Run(run.path.name)
    monkeypatch.chdir(tmp_path)
    assert here.history == run.history
    assert here.settings == run.settings


@pytest.fixture(scope="module")
def halved(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> striate.Run:
    """A run that half of the images were kept back from, on data named relatively to a folder that is left then."""
    output = tmp_path_factory.mktemp("halved")
    settings = {"model": "mlp", "model_settings": {"hidden": [8]}, "size": 16, "epochs": 1, "precision": "fp32"}
    with contextlib.chdir(photos.parent):
        return striate.fit(photos.name, **settings, test_fraction=0.5, split_seed=3, output=str(output), verbose=False)


@pytest.mark.parametrize("of_file", [False, True])
def test_data_that_lie_elsewhere_are_split_as_in_training(
    halved: striate.Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_file: bool
) -> None:
    """Else images that were trained on are tested on: the path is seen from another folder, and of a copy."""
    with contextlib.chdir(photos.parent):
        expected = halved.evaluate()
    model: Path = halved.path
    if of_file:
        model = Path(shutil.copy(halved.folder.model, tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / "a copy")
    for data in (photos, "a copy"):
        found = evaluate(model, str(data))
        assert (found.part, found.metrics.samples) == ("test", 30)
        assert found.metrics.loss == expected.metrics.loss


def test_data_that_are_not_where_they_were(
    halved: striate.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    away = re.escape(f"{halved.path} was trained on '{halved.settings.data}', which is not here; give the place where")
    with pytest.raises(StriateError, match=away):
        halved.evaluate()
    with pytest.raises(StriateError, match=r"was begun on .*, which is not here; write its place into .*config\.toml"):
        striate.fit(resume_from=halved.path, verbose=False)


def test_evaluation_repeats_the_runs_own_measure(run: striate.Run) -> None:
    found = run.evaluate()
    assert (found.part, found.metrics.samples) == ("test", 12)
    assert found.metrics.accuracy == 1.0
    validated = run.evaluate(part="val")
    assert run.best is not None
    assert validated.metrics.accuracy == run.best.val_accuracy
    assert validated.metrics.loss == pytest.approx(run.best.val_loss, rel=1e-6)


def test_prediction_gives_evaluations_probabilities(run: striate.Run, photos: Path) -> None:
    net, card = load_model(run.folder.model)
    samples = open_data(photos).test
    assert samples is not None
    loader = Loader(samples, Preprocess.from_dict(dict(card.preprocess)), batch_size=5)
    expected = np.concatenate([net(batch.images).detach().softmax(1).numpy() for batch in loader.epoch(0)])
    predictions = run.predict([photos / samples.entries[index] for index in range(len(samples))])  # type: ignore[attr-defined]  # files
    for prediction, row in zip(predictions, expected, strict=True):
        found = dict(prediction.top)
        assert [found[name] for name in card.classes] == pytest.approx(row.tolist(), rel=1e-5)


def test_a_bad_image_among_good_ones_is_named_and_stops_nothing(run: striate.Run, photos: Path, tmp_path: Path) -> None:
    empty, absent = tmp_path / "empty.jpg", tmp_path / "absent.jpg"
    empty.write_bytes(b"")
    good = photos / "red" / "00.jpg"
    predictions = list(Predictor(run.folder.model).predict([empty, good, absent], top_k=1))
    assert predictions[0].problem is not None
    assert "empty.jpg" in predictions[0].problem
    assert "is empty" in predictions[0].problem
    assert predictions[1].problem is None
    assert [name for name, _ in predictions[1].top] == ["red"]
    assert predictions[2].problem == f"{absent} does not exist"


def test_other_data_with_the_models_classes_in_another_order(run: striate.Run, photos: Path, tmp_path: Path) -> None:
    rows = [f"{photos}/red/{index:02}.{'png' if index % 2 else 'jpg'},red" for index in range(10)]
    rows += [f"{photos}/blue/{index:02}.{'png' if index % 2 else 'jpg'},blue" for index in range(10)]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    assert evaluate(run.path, str(tmp_path / "list.csv"), part="train").metrics.accuracy == 1.0


def test_a_class_the_model_does_not_know_is_named(run: striate.Run, photos: Path, tmp_path: Path) -> None:
    rows = [
        f"{photos}/red/{index:02}.{'png' if index % 2 else 'jpg'},{'red' if index % 2 else 'pink'}"
        for index in range(20)
    ]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(StriateError, match=r"has class 'pink', which the model does not know: it knows 'blue', 'red'$"):
        evaluate(run.path, str(tmp_path / "list.csv"))


def test_what_cannot_be_evaluated_is_named(run: striate.Run, tmp_path: Path) -> None:
    with pytest.raises(StriateError, match=r"unknown part of .*'tset'; did you mean 'test'\?"):
        run.evaluate(part="tset")
    with pytest.raises(StriateError, match=r"no model file or run .*nowhere"):
        evaluate(tmp_path / "nowhere")
    with pytest.raises(StriateError, match=r"is not a run: it has no config\.toml"):
        evaluate(tmp_path)


def test_files_folders_and_patterns_are_found_in_order(photos: Path, tmp_path: Path) -> None:
    assert list(find_images([str(photos / "red")])) == sorted(str(path) for path in (photos / "red").iterdir())
    assert list(find_images([f"{photos}/*/00.jpg"])) == [str(photos / name / "00.jpg") for name in ("blue", "red")]
    with pytest.raises(StriateError, match=r"no file, folder or pattern .*\*\.gif"):
        list(find_images([f"{photos}/*.gif"]))
    with pytest.raises(StriateError, match=r"no images in "):
        list(find_images([str(tmp_path)]))


def test_fit_takes_recipes_and_settings(tmp_path: Path) -> None:
    run = striate.fit("digits", recipe="quick", model="two_layer", size=8, max_steps=2, output=tmp_path, verbose=False)
    assert run.settings.optimizer == "adamw"
    assert run.path.name == "two_layer-digits"
    again = striate.fit(resume_from=run.path, verbose=False)
    assert dataclasses.asdict(again.history[-1]) == dataclasses.asdict(run.history[-1])
    with pytest.raises(StriateError, match="a resumed run keeps its settings; give nothing but resume_from"):
        striate.fit(resume_from=run.path, epochs=3)
    with pytest.raises(StriateError, match="a resumed run keeps its settings; give nothing but resume_from"):
        striate.fit(tmp_path, resume_from=run.path)
    with pytest.raises(StriateError, match="a recipe is given by its name or its file, such as 'quick', got 3"):
        striate.fit("digits", recipe=3)
    with pytest.raises(StriateError, match="no data set is named; "):
        striate.fit(None)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workers": -1}, "workers is -1; give a whole number, 0 or more"),
        ({"workers": "2"}, "workers is '2'; give a whole number, 0 or more"),
        ({"batch_size": 0}, "batch_size is 0; give a whole number, 1 or more"),
        ({"samples": 1.5}, r"samples is 1\.5; give a whole number, 0 or more"),
        ({"seed": None}, "seed is None; give a whole number, 0 or more"),
        ({"scales": 2.5}, r"scales is 2\.5; give 1 to 5, or the short sides in px: "),
    ],
)
def test_numbers_that_are_none(asked: dict[str, object], message: str) -> None:
    """Fewer than no workers used to be waited for for ever."""
    with pytest.raises(StriateError, match=message):
        evaluate("no/such/model", **asked)


@pytest.mark.parametrize("paths", [None, b"cat.jpg", np.zeros((2, 2, 3), np.uint8), [Image.new("L", (1, 1))]])
def test_pixels_and_other_things_are_no_paths(run: striate.Run, paths: object) -> None:
    with pytest.raises(StriateError, match="images are given by the paths of their files, or folders, got ") as caught:
        run.predict(paths)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("top_k", [0, -1, 2.5, None, "3"])
def test_how_many_classes_are_named(run: striate.Run, photos: Path, top_k: object) -> None:
    with pytest.raises(StriateError, match=f"top_k is {top_k!r}; give a whole number, 1 or more"):
        run.predict(photos, top_k=top_k)


def test_prediction_sees_the_files_that_training_sees(photos: Path, tmp_path: Path) -> None:
    """Through links, by what a file holds and not by its name alone; neither hidden files nor folders."""
    mixed, away = tmp_path / "mixed", tmp_path / "away"
    shutil.copytree(photos / "red", mixed / "red")
    shutil.copytree(photos / "blue", away / "blue")
    (mixed / "blue").symlink_to(away / "blue", target_is_directory=True)
    (mixed / "up").symlink_to(mixed, target_is_directory=True)
    shutil.copytree(photos / "red", mixed / ".cache")
    shutil.copytree(photos / "red", mixed / "__MACOSX")
    shutil.copy(photos / "red" / "00.jpg", mixed / "red" / "without a name for it")
    (mixed / "red" / ".hidden.jpg").write_bytes((photos / "red" / "00.jpg").read_bytes())
    (mixed / "red" / "notes.txt").write_text("no image")
    (mixed / "red" / "broken.jpg").symlink_to("nowhere")
    os.mkfifo(mixed / "red" / "pipe.jpg")
    found = set(find_images([str(mixed)]))
    data = striate.data.open(mixed)
    scanned = {part.name(i) for part in data.parts.values() for i in range(len(part))}
    broken = {str(mixed / "red" / name) for name in ("broken.jpg", "pipe.jpg")}
    assert found == scanned | broken
    assert {problem.name for problem in data.problems} == broken | {str(mixed / "red" / "notes.txt")}


def test_prediction_names_what_is_no_file(run: striate.Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    paths = [tmp_path / "pipe.jpg", "/dev/zero", tmp_path / "a\nb.jpg"]
    told = [prediction.problem for prediction in Predictor(run.path / "best.safetensors").predict(paths)]
    assert told == [
        f"{tmp_path}/pipe.jpg is a pipe, not an image",
        "/dev/zero is a device, not an image",
        f"{tmp_path}/a\\nb.jpg does not exist",
    ]


def test_no_name_is_not_the_current_folder() -> None:
    with pytest.raises(StriateError, match="an image is given as '', no name at all; give a file, a folder"):
        list(find_images([""]))


@pytest.mark.parametrize(("given", "near"), [("resnet5", "resnet50"), ("{}/rnu", "{}/run")])
def test_a_model_that_is_not_there_may_be_another(given: str, near: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").touch()
    with pytest.raises(
        StriateError, match=f"no published weights of that name; did you mean '{near.format(tmp_path)}'"
    ):
        model_path(given.format(tmp_path))
