"""Settings: layers, TOML, and one clear line for whatever cannot be used."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from striate.errors import StriateError
from striate.train import Settings, list_recipes, load_recipe, read_toml, settings_from
from striate.train.settings import plain_values, to_toml


def test_later_layers_win() -> None:
    settings = settings_from({"lr": 0.1, "epochs": 3}, {"epochs": 5}, {})
    assert (settings.lr, settings.epochs, settings.batch_size) == (0.1, 5, Settings().batch_size)


def test_toml_round_trip(tmp_path: Path) -> None:
    settings = Settings(milestones=(3, 7), model_settings={"hidden": [8, 4], "dropout": 0.5}, ema=0.9, flip=False)
    file = tmp_path / "config.toml"
    file.write_text(to_toml(settings))
    assert settings_from(read_toml(file)) == settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch'; did you mean 'epochs'?"),
        ({"epochs": "ten"}, "--epochs: expected a whole number, got 'ten'"),
        ({"epochs": 2.5}, "--epochs: expected a whole number, got 2.5"),
        ({"epochs": True}, "--epochs: expected a whole number, got True"),
        ({"epochs": 0}, "--epochs 0: expected 1 or more"),
        ({"flip": 1}, "--flip: expected true or false, got 1"),
        ({"lr": 0}, "--lr 0.0: expected more than 0"),
        ({"lr": float("nan")}, "--lr nan: expected a finite number"),
        ({"lr": float("inf")}, "--lr inf: expected a finite number"),
        ({"lr": 10**400}, "--lr inf: expected a finite number"),
        ({"warmup_epochs": float("nan")}, "--warmup-epochs nan: expected a finite number"),
        ({"weight_decay": float("inf")}, "--weight-decay inf: expected a finite number"),
        ({"seed": 2**63}, f"--seed {2**63}: expected less than 2**63"),
        ({"momentum": 1.0}, "--momentum 1.0: expected at least 0 and below 1"),
        ({"schedule": "cosin"}, "unknown --schedule 'cosin'; did you mean 'cosine'?"),
        ({"precision": "fp8"}, "unknown --precision 'fp8'; choose from auto, fp32, bf16, fp16"),
        ({"channels": 2}, "--channels 2: expected 1 (grey) or 3 (RGB)"),
        ({"milestones": 3}, "--milestones: expected a list of whole numbers, got 3"),
        ({"model_settings": 3}, "--model-settings: expected a table, got 3"),
        ({"workers": -1}, "--workers -1: expected 0 or more"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(StriateError, match=f"^{re.escape(message)}$"):
        settings_from(given)


def test_numpy_numbers_of_the_nets_own_are_numbers() -> None:
    settings = settings_from({"model_settings": {"hidden": (np.int64(8), np.array([4])), "dropout": np.float32(0.5)}})
    assert settings.model_settings == {"hidden": [8, [4]], "dropout": 0.5}
    assert plain_values(settings)["model_settings"] == settings.model_settings


@pytest.mark.parametrize("name", ["policy", "sampling", "data", "pretrained"])
def test_a_path_may_begin_at_home(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert getattr(settings_from({name: "~/a.toml"}), name) == "/home/ada/a.toml"


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numpy_numbers_are_numbers(kind: type) -> None:
    """What a notebook counts with: they become Python's, as TOML knows no others."""
    settings = settings_from(
        {"seed": kind(3), "milestones": [kind(1), kind(2)], "lr": kind(1), "momentum": np.float32(0.5)}
    )
    assert (settings.seed, settings.milestones, settings.lr, settings.momentum) == (3, (1, 2), 1.0, 0.5)
    assert [type(value) for value in (settings.seed, settings.lr, settings.momentum)] == [int, float, float]
    assert "seed = 3" in to_toml(settings)


def test_what_is_given_instead_is_told_in_one_line() -> None:
    with pytest.raises(StriateError) as caught:
        settings_from({"model": torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(9)))})
    assert str(caught.value).startswith("--model: expected a text, got Sequential( (0): ReLU() (1): ReLU()")
    assert len(str(caught.value)) < 130
    assert "\n" not in str(caught.value)


def test_a_home_folder_is_none_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`output="~/runs"` made a folder that is called ~, which nobody should have to delete."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = settings_from({"output": "~/runs", "data": Path("~/photos"), "name": "~x"})
    assert (settings.output, settings.data, settings.name) == (f"{tmp_path}/runs", f"{tmp_path}/photos", "~x")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match=r"cannot read .*absent\.toml: No such file or directory"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("lr = = 3")
    with pytest.raises(StriateError, match=r"bad\.toml is not valid TOML: "):
        read_toml(tmp_path / "bad.toml")


def test_every_recipe_is_valid_and_says_what_it_is() -> None:
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    assert {"alexnet", "resnet", "quick", "mnist", "cifar10"} <= recipes.keys()
    for recipe in recipes.values():
        assert settings_from(recipe.settings)
        assert recipe.description


def test_the_published_recipes_hold_their_papers_numbers() -> None:
    alexnet, resnet = (settings_from(load_recipe(name).settings) for name in ("alexnet", "resnet"))
    assert (alexnet.batch_size, alexnet.lr, alexnet.momentum, alexnet.weight_decay) == (128, 1e-2, 0.9, 5e-4)
    assert (resnet.batch_size, resnet.lr, resnet.momentum, resnet.weight_decay) == (256, 0.1, 0.9, 1e-4)
    assert (alexnet.schedule, alexnet.gamma, resnet.schedule, resnet.gamma) == ("plateau", 0.1, "plateau", 0.1)


def test_an_unknown_recipe_and_a_broken_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(StriateError, match="unknown recipe 'resnt'; did you mean 'resnet'"):
        load_recipe("resnt")
    file = tmp_path / "mine.toml"
    file.write_text('description = "mine"\nlearning_rate = 1.0\n')
    with pytest.raises(StriateError, match=r"recipe .*mine\.toml: unknown setting 'learning_rate'"):
        load_recipe(str(file))
