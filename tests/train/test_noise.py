"""The noise of a run: named, chosen, written down, drawn again; and batches that are mixed."""

from typing import Any

import pytest
import torch

from striate.augment import (
    HorizontalFlip,
    PadCrop,
    PCAColor,
    Policy,
    RandomResizedCrop,
    RandomScaleCrop,
    policy_from_dict,
)
from striate.data import Preprocess, fit_pca
from striate.errors import StriateError
from striate.nets.weights import read_card
from striate.tasks import Classification
from striate.train import RunFolder, reporter_for, settings_from, start
from striate.train.noise import describe, matched_to, policy_of
from striate.train.resolve import open_data
from striate.train.target import Target


def train(settings: dict[str, Any]) -> RunFolder:
    return start(settings_from(settings), reporter_for(quiet=True)).folder


@pytest.mark.parametrize("policy", ["none", "alexnet", "resnet", "strong", "auto"])
def test_every_preset_trains(quick, policy):
    folder = train({**quick, "policy": policy, "max_steps": 3})
    settings, card = folder.settings(), read_card(folder.model)
    assert policy_from_dict(card.noise) == policy_of(settings, Preprocess.from_dict(dict(card.preprocess)))


def test_the_colours_of_the_training_part_are_stored_with_the_model(quick):
    card = read_card(train({**quick, "policy": "alexnet", "max_steps": 2}).model)
    (pca,) = [noise for noise in policy_from_dict(card.noise).noises if isinstance(noise, PCAColor)]
    values, vectors = fit_pca(open_data(settings_from(quick)).train, 1)
    assert pca.values == tuple(values.tolist())
    assert pca.vectors == tuple(map(tuple, vectors.tolist()))


@pytest.mark.parametrize(
    ("policy", "tested"), [("none", None), ("light", None), ("resnet", (9, 9)), ("alexnet", (9, 9))]
)
def test_nets_are_tested_at_the_scale_they_were_trained_at(quick, policy, tested):
    """256 of 224 is 9 of 8: the middle of it is what validation, test, and all who ask the model later, see."""
    preprocess = Preprocess.from_dict(
        dict(read_card(train({**quick, "policy": policy, "max_steps": 2}).model).preprocess)
    )
    assert preprocess.resize_size == tested
    assert preprocess.size == (8, 8)


def test_a_frame_that_is_known_already_or_squashed_stays():
    own = Preprocess(channels=1, size=(8, 8), resize_size=(10, 10), mean=(0.5,), std=(0.2,))
    policy = Policy((RandomScaleCrop((9, 17)),))
    assert matched_to(policy, own) == own
    squashed = Preprocess(channels=1, size=(8, 8), resize="squash", mean=(0.5,), std=(0.2,))
    assert matched_to(policy, squashed) == squashed


def test_a_policy_of_ones_own_from_a_file_and_from_a_table(quick, tmp_path):
    text = 'fill = 3\n[[noises]]\nnoise = "RandomResizedCrop"\nscale = [0.5, 1.0]\n'
    (tmp_path / "mine.toml").write_text(text)
    expected = Policy((RandomResizedCrop((0.5, 1.0)),), fill=3)
    table = {"fill": 3, "noises": [{"noise": "RandomResizedCrop", "scale": [0.5, 1.0]}]}
    for name, given in (("a", {"policy": str(tmp_path / "mine.toml")}), ("b", {"policy": "own", "noise": table})):
        folder = train({**quick, **given, "name": name, "max_steps": 1})
        assert policy_from_dict(folder.settings().noise) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"policy": "stong"}, "unknown --policy 'stong'; did you mean 'strong'?"),
        ({"policy": "own"}, 'policy "own" needs a table [noise] in the config; docs/augment.md shows one'),
        ({"policy": "strong", "pad": 2}, "--pad belongs to --policy light; with strong leave it out"),
        ({"policy": "none.toml"}, "cannot read none.toml: No such file or directory"),
        ({"mixup": -1}, "--mixup -1.0: expected 0 or more"),
    ],
)
def test_noise_that_cannot_be_is_one_clear_line(quick, given, message):
    with pytest.raises(StriateError) as error:
        train({**quick, **given})
    assert str(error.value) == message


def test_mixed_labels_are_the_loss_of_the_mixed_distribution():
    scores, own, other = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0]), torch.tensor([3, 2, 2, 0, 1])
    share = torch.tensor([0.2, 0.5, 0.9, 1.0, 0.0])
    for smoothing in (0.0, 0.1):
        task = Classification(tuple("abcd"), label_smoothing=smoothing)
        one_hot = torch.nn.functional.one_hot
        mixed = share[:, None] * one_hot(own, 4) + (1 - share)[:, None] * one_hot(other, 4)
        smooth = mixed * (1 - smoothing) + smoothing / 4
        expected = -(smooth * scores.log_softmax(1)).sum(1).mean()
        target = Target(own, other, share)
        assert target.loss(task, scores).item() == pytest.approx(expected.item(), rel=1e-5)
    assert target.likelier.tolist() == [3, 1, 2, 3, 1]
    plain = Target(own)
    assert plain.likelier is own
    assert plain.loss(task, scores).item() == pytest.approx(task.loss(scores, own).item())


def test_describe():
    assert describe(Policy((RandomResizedCrop(),))) == "RandomResizedCrop"


def test_a_run_from_before_policies_had_names_keeps_its_noise():
    preprocess = Preprocess(channels=1, size=(32, 32), mean=(0.2,), std=(0.3,))
    for flip in (False, True):
        old = settings_from({"pad": 3, "flip": flip, "size": 32})  # a resolved config without the table
        noises = (PadCrop(3), HorizontalFlip()) if flip else (PadCrop(3),)
        assert policy_of(old, preprocess) == Policy(noises, fill="mean", mean=(0.2,))
