"""`striate search`: the flags of `striate train`, with ranges and choices where it has values."""

import json
from pathlib import Path

import pytest

from striate.cli import main
from striate.cli.failure import UsageError
from striate.cli.search import Given, read_settings


def test_every_spelling_of_train_is_understood() -> None:
    given = read_settings(
        [
            *["-b", "32,64", "--weight-decay=1e-6:1e-2:log", "--nesterov", "--no-flip", "--set", "pool=max"],
            *["-m", "lenet5", "--milestones", "3,5", "--steps", "9", "--decay-all", "true,false"],
            *["--set", "hidden=[64, 32]"],
        ]
    )
    assert given.spaced == {"batch_size": "32,64", "weight_decay": "1e-6:1e-2:log", "decay_all": "true,false"}
    assert given.values == {
        "nesterov": True,
        "flip": False,
        "model_settings.pool": "max",
        "model": "lenet5",
        "milestones": "3,5",
        "max_steps": "9",
        "model_settings.hidden": "[64, 32]",
    }
    assert read_settings([]) == Given()
    assert read_settings(["--lr", "1:2", "a=b/", "-b", "8"]).data == "a=b/"
    assert read_settings(["--nesterov", "photos"]).data == "photos"
    assert read_settings(["--lr", "0.1", "--lr", "0.1:1"]) == Given(spaced={"lr": "0.1:1"})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--wieght-decay", "1:2"], r"unknown option '--wieght-decay'; did you mean '--weight-decay'\?"),
        (["--lr"], "--lr needs a value, a range LOW:HIGH or choices a,b,c"),
        (["photos", "extra"], "unexpected 'extra' after 'photos'; a setting is given as --name VALUE"),
        (["--set", "0.5"], r"--set 0\.5: expected NAME=VALUE, NAME=LOW:HIGH or NAME=a,b"),
    ],
)
def test_what_is_no_setting(args: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_settings(args)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "nothing to search: give a range, e.g. --lr 1e-4:1e-1:log, or --space FILE"),
        (["--lr", "1e-1:1e-4"], "the smaller first"),
        (["digits", "--seed", "1:9"], "--seed cannot be searched: the luckiest draw is no setting"),
        (["--lr", "1:2", "--stages", "many"], "--stages many: expected TRIALSxEPOCHS with commas between"),
        (["--resume", "--lr", "1:2"], "a search that goes on keeps its plan; only --jobs may change"),
        (["--resume", "--keep", "0"], "a search that goes on keeps its plan; only --jobs may change"),
        (["--resume", "--draw", "0"], "a search that goes on keeps its plan; only --jobs may change"),
        (["--resume"], "--resume needs the search's folder"),
        (["--lr", "1:2", "--space", "none.toml"], "cannot read none.toml: No such file or directory"),
        (["--max-steps", "5", "--lr", "1:2", "--momentum", "2"], "--momentum 2.0: expected at least 0 and below 1"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", *args]) == 2
    error = capsys.readouterr().err
    assert error.startswith("striate search: error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_taken_name_is_refused_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").touch()
    call = ["search", "no-such-data", "--lr", "1:2", "--trials", "1", "--epochs", "1"]
    assert main([*call, "--name", "mine", "--output", str(tmp_path)]) == 1
    taken = tmp_path / "mine"
    assert capsys.readouterr().err == (
        f"striate search: error: search {taken} exists; choose another --name, or go on with it: --resume {taken}\n"
    )
    assert main([*call, "--output", str(tmp_path / "file")]) == 1
    assert f"cannot make a search in {tmp_path / 'file'}: Not a directory; choose --output" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_prints_its_best_and_what_to_do_with_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["-m", "two_layer", "--size", "8", "--policy", "none", "--precision", "fp32", "-j", "0"]
    assert main(["search", "digits", *flags, "--lr", "1e-2:1e3:log", "--stages", "4x1", "--name", "mine"]) == 0
    out, err = capsys.readouterr()
    assert "recipe  searches/mine/best.toml; train it: striate train digits --recipe searches/mine/best.toml" in out
    assert "models  1 best kept\n" in out  # no two that could answer together
    assert "stage 1 of 1: 4 trials of 1 epoch, random, pruner median" in err
    assert "exploded: diverged at step" in err
    assert main(["search", "--resume", "searches/mine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [trial["trial"] for trial in found["trials"]] == ["1.1", "1.2", "1.3", "1.4"]
    assert found["best"] in [trial["trial"] for trial in found["trials"]]
    assert main(["evaluate", "searches/mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 359
