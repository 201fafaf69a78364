"""`striate models` and `striate recipes`."""

import json
from pathlib import Path

import pytest

from striate.cli import main
from striate.nets import list_models
from striate.train import recipes as recipe_files


def told(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_models_lists_every_net(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "models").splitlines()
    assert [line.split()[0] for line in lines] == ["net", *list_models()]


def test_models_verbose_states_the_published_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters: torchvision's tables. Multiply-adds: He 2015, table 1, "1.8 × 10⁹"."""
    (row,) = json.loads(told(capsys, "models", "resnet18", "--verbose", "--json"))
    assert row["params"] == 11_689_512
    assert round(row["macs"] / 1e9, 1) == 1.8
    assert row["input"] == [224, 224]
    head, line = told(capsys, "models", "resnet18", "-v").splitlines()
    assert head.split("  ")[0] == "net"
    assert head.replace("memory MiB", "memory").replace("sees px", "sees").split() == [
        "net", "input", "params", "macs", "memory", "sees", "top-1", "top-5", "weights", "source", "settings",
    ]  # fmt: skip
    assert (row["sees px"], row["top-1"], row["weights"]) == (435, 0.69758, ["resnet18-f37072fd"])
    assert line.split()[:3] == ["resnet18", "224×224", "11,689,512"]


def test_models_that_match_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["net"] for row in json.loads(told(capsys, "models", "vgg16*", "--json"))} == set(list_models("vgg16*"))


def test_models_draws_the_published_accuracies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    assert told(capsys, "models", "resnet??", "--plot", str(path)) == f"{path}: 3 nets\n"  # CIFAR's have none
    assert "resnet50: 76.1%, 4.09e9 MACs, 25.6M parameters" in path.read_text()
    assert main(["models", "lenet5", "--plot", str(path)]) == 1
    assert capsys.readouterr().err == (
        "striate models: error: no accuracy on ImageNet was published of lenet5; there is nothing to draw\n"
    )


def test_recipes_lists_name_description_and_claims(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = 'description = "a small one"\nepochs = 3\n\n[reached]\ntest_accuracy = "98 %, 5 seeds"\nminutes = 2\n'
    how = 'command = "striate train a.zip --recipe small"\nmachine = "two cores"\n'
    (tmp_path / "small.toml").write_text(text + how)
    monkeypatch.setattr(recipe_files, "recipes_folder", lambda: tmp_path)
    assert told(capsys, "recipes").splitlines() == [
        "recipe  what it is   reached",
        "small   a small one  test accuracy 98 %, 5 seeds; minutes 2",
        "",
        "reached by",
        "",
        "small: striate train a.zip --recipe small; two cores",
    ]
    (listed,) = json.loads(told(capsys, "recipes", "--json"))
    assert listed["settings"] == {"epochs": 3}
    assert list(listed["reached"].values()) == ["98 %, 5 seeds", 2, "striate train a.zip --recipe small", "two cores"]


def test_the_recipes_that_ship_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    names = {row["name"] for row in json.loads(told(capsys, "recipes", "--json"))}
    assert {"alexnet", "resnet", "quick"} <= names
