"""Runs whose epochs hold other images than all once: laws, weights, ranks; written down, and resumed."""

from typing import Any

import numpy as np
import pytest
import torch

from striate.augment.mix import Mixed, mix
from striate.data import Loader
from striate.errors import StriateError
from striate.train import RunFolder, Settings, reporter_for, resume, settings_from, start
from striate.train.resolve import open_data
from striate.train.sampling import describe_sampling, sampling_of, with_ranks, with_weights


@pytest.fixture
def orders(monkeypatch) -> list[list[int]]:
    """The training samples that runs were shown, batch by batch."""
    seen: list[list[int]] = []
    epoch = Loader.epoch

    def noted(self: Loader, number: int, start: int = 0) -> Any:
        for batch in epoch(self, number, start):
            if self._shuffle:
                seen.append(batch.indices.tolist())
            yield batch

    monkeypatch.setattr(Loader, "epoch", noted)
    return seen


def train(settings: dict[str, Any]) -> RunFolder:
    return start(settings_from(settings), reporter_for(quiet=True)).folder


def test_balanced_classes(quick, orders):
    settings = train({**quick, "sampling": "balanced", "batch_size": 1, "lr": 1e-4}).settings()
    assert settings.sampling == "balanced"
    labels = open_data(settings).train.labels
    shown = np.bincount(labels[np.concatenate(orders)])
    assert np.bincount(labels).max() - np.bincount(labels).min() > 5
    assert shown.max() - shown.min() <= 1


def test_an_image_that_comes_again_is_mixed_anew(quick, monkeypatch):
    """Else a class of one image would be cut in one rectangle and mixed by one share, all epoch long."""
    drawn_by: list[int] = []

    def noted(images: torch.Tensor, keys: torch.Tensor, *given: Any) -> Mixed:
        drawn_by.extend(keys.tolist())
        return mix(images, keys, *given)

    monkeypatch.setattr("striate.train.loop.mix", noted)
    weights = {"class": {str(digit): 0 for digit in range(9)}}
    train({**quick, "sampling": "own", "sample_weights": weights, "cutmix": 1.0})
    count = len(open_data(settings_from(quick)).train)
    assert len(set(drawn_by)) == len(drawn_by) > count / 2
    assert len({number % count for number in drawn_by}) < len(drawn_by) / 5


def test_the_weights_of_a_file_are_kept_in_the_config_and_drawn_again(quick, orders, tmp_path):
    file = tmp_path / "w.csv"
    file.write_text("class,weight\n" + "".join(f"{digit},0\n" for digit in range(9)))
    folder = train({**quick, "sampling": str(file), "checkpoint_steps": 5})
    file.unlink()
    labels = open_data(folder.settings()).train.labels
    assert folder.settings().sample_weights == {"class": {str(digit): 0.0 for digit in range(9)}}
    assert set(labels[np.concatenate(orders)]) == {9}
    expected, whole = folder.last.read_bytes(), [*orders]
    newest = max(folder.checkpoints.glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1])
    orders.clear()
    resume(folder.path, reporter_for(quiet=True))
    assert 0 < len(orders) < len(whole)
    assert orders == whole[-len(orders) :]
    assert folder.last.read_bytes() == expected


def test_a_table_of_ones_own(quick, orders):
    train({**quick, "sampling": "own", "sample_weights": {"class": {"3": 0}}, "batch_size": 16})
    labels = open_data(settings_from(quick)).train.labels
    assert set(labels[np.concatenate(orders)]) == set(range(10)) - {3}


def test_ranks_share_out_what_one_process_would_see(quick, orders, tmp_path):
    shares = []
    for rank in range(2):
        orders.clear()
        folder = train({**quick, "rank": rank, "ranks": 2, "batch_size": 32})
        assert folder.path.name == f"run-rank{rank}"
        assert (folder.settings().rank, folder.settings().ranks) == (rank, 2)
        shares.append([*orders])
    orders.clear()
    train({**quick, "name": "alone", "batch_size": 64})
    assert [a + b for a, b in zip(*shares, strict=True)] == orders


def test_a_rank_is_resumed_as_the_rank_it_was(quick, orders, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    folder = train({**quick, "checkpoint_steps": 2, "batch_size": 32})
    assert folder.path.name == "run-rank1"
    expected, whole = folder.last.read_bytes(), [*orders]
    monkeypatch.setenv("RANK", "0")
    for _ in range(2):
        newest = max(folder.checkpoints.glob("*.safetensors"))
        newest.write_bytes(newest.read_bytes()[:-1])
        orders.clear()
        resume(folder.path, reporter_for(quiet=True))
        assert folder.last.read_bytes() == expected
        assert orders == whole[-len(orders) :]


def test_what_torchrun_says():
    nobody = with_ranks(Settings(), {})
    assert (nobody.rank, nobody.ranks, nobody.name) == (0, 1, None)
    torchrun = with_ranks(Settings(name="a"), {"RANK": "2", "WORLD_SIZE": "4"})
    assert (torchrun.rank, torchrun.ranks, torchrun.name) == (2, 4, "a-rank2")
    said = with_ranks(Settings(rank=0, ranks=1, name="a"), {"RANK": "2", "WORLD_SIZE": "4"})
    assert (said.rank, said.ranks, said.name) == (0, 1, "a")


def test_each_class_is_told_before_and_after():
    data = open_data(Settings())
    labels = data.train.labels
    rare, common = (data.classes[k] for k in (np.bincount(labels).argmin(), np.bincount(labels).argmax()))
    said = describe_sampling(Settings(sampling="balanced"), data)
    assert said.startswith(f"sampling balanced: {rare!r} from 9.")
    assert f"{common!r} from 10." in said
    assert said.count("to 10.0% of an epoch") == 2
    weighted = with_weights(Settings(sampling="own", sample_weights={"class": {common: 0}}), data)
    assert f"{common!r} from 10.1% of the images to 0.0% of an epoch" in describe_sampling(weighted, data)
    assert isinstance(sampling_of(weighted, data), np.ndarray)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampling": "balance"}, "unknown --sampling 'balance'; did you mean 'balanced'?"),
        ({"sampling": "own"}, 'sampling "own" needs a table [sample_weights] in the config; docs/data.md shows one'),
        ({"sampling": "none.csv"}, "cannot read none.csv: No such file or directory"),
        (
            {"sampling": "own", "sample_weights": {"class": {str(digit): 0 for digit in range(10)}}},
            "loader: weights must be finite, 0 or more, and not all 0",
        ),
        ({"rank": 1}, "--rank and --ranks belong together: --rank 0 --ranks 2 is the first of two"),
        ({"rank": 2, "ranks": 2}, "--rank 2: of 2 ranks the last is 1"),
        ({"rank": -1, "ranks": 2}, "--rank -1: expected 0 or more"),
        ({"rank": 0, "ranks": 5000}, "--ranks 5000: there are 1294 training images; give no more ranks than that"),
    ],
)
def test_what_cannot_be_is_one_clear_line(quick, given, message):
    with pytest.raises(StriateError) as error:
        train({**quick, **given})
    assert str(error.value) == message


def test_an_environment_that_is_no_rank():
    with pytest.raises(StriateError, match="WORLD_SIZE='two' in the environment is no rank; unset it, or give --rank"):
        with_ranks(Settings(), {"WORLD_SIZE": "two"})
