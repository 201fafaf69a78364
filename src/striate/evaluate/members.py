"""Who answers: model files and runs, and out of one run its best checkpoints, or the average of its weights.

An ensemble averages what its members say; averaging their *weights* gives one net, at one net's cost, where they lie in
one valley: the last checkpoints of a run do (Izmailov et al. 2018, "Averaging weights leads to wider optima"). Its
batch norms then have the statistics of no net that was ever trained, so these are estimated anew on training data;
but what a run froze is the same in all its checkpoints, and what follows was trained on it as it is.
"""

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from striate.augment import policy_from_dict
from striate.data import Loader, Preprocess
from striate.errors import StriateError
from striate.evaluate.exam import Exam, model_path, settings_of
from striate.evaluate.marginal import Member
from striate.nets import Net
from striate.nets.batch_norms import batch_norms
from striate.nets.trained import load_trained
from striate.nets.weights import ModelCard, save_model
from striate.pages.wording import plural
from striate.train import RunFolder, Settings
from striate.train.checkpoint import Checkpoint, CheckpointFolder
from striate.train.state import Position
from striate.train.story import history
from striate.train.transfer.tuning import Tuning

__all__ = [
    "averaged_weights",
    "best_checkpoints",
    "best_of_search",
    "is_search",
    "member",
    "reestimate_batch_norms",
    "save_tempered",
]

RANKING = "ranking.json"  # what `striate search` leaves: its trials from best to worst, each with its folder
TEMPERATURE = "temperature"  # among the card's metrics, where an older striate passes it over


def member(model: str | Path, *, classes: Sequence[str] = (), offline: bool = False) -> tuple[Member, ModelCard]:
    """A model file, a run's best model, or a published net, and its card."""
    path = model_path(model)
    net, card = load_trained(path, classes=classes, offline=offline)
    return _member(str(path), net, card), card


def best_checkpoints(run: str | Path, count: int, *, classes: Sequence[str] = ()) -> tuple[list[Member], ModelCard]:
    """The `count` checkpoints of a run with the least validation error, then loss; the best first.

    A run keeps its newest two (`--keep`) and the best. Raises StriateError when it has fewer.
    """
    folder, net, card = _run(run, classes)
    rows = {row.step: row for row in history(folder.path) if row.val_accuracy is not None}
    store = CheckpointFolder(folder.checkpoints, count)
    steps = [step for step in store.steps() if step in rows]
    steps.sort(key=lambda step: (-(rows[step].val_accuracy or 0), rows[step].val_loss))
    members = []
    for checkpoint in _loaded(store, steps, count, folder, "validated "):
        other = copy.deepcopy(net)
        other.load_state_dict(_weights(checkpoint, averaged=True))
        members.append(_member(f"{folder.path} at step {checkpoint.step}", other, card))
    return members, card


def is_search(folder: str | Path) -> bool:
    """Whether a folder is that of a search."""
    return (Path(folder) / RANKING).is_file()


def best_of_search(folder: str | Path, count: int) -> list[Path]:
    """The folders of the `count` best trials of a search, the best first: each is a run's.

    Raises StriateError when the search has kept fewer models.
    """
    if not is_search(folder):
        raise StriateError(f"{folder} is no search: it has no {RANKING}; --best takes the folder of a search")
    rows = json.loads((Path(folder) / RANKING).read_text(encoding="utf-8"))["trials"]
    folders = [Path(folder) / row["folder"] for row in rows]
    kept = [one for one in folders if RunFolder(one).best.is_file()]
    if len(kept) < count:
        raise StriateError(
            f"search {folder} has kept {len(kept)} models, and {count} are asked for; search with --keep {count}"
        )
    return kept[:count]


def averaged_weights(
    run: str | Path, count: int, *, classes: Sequence[str] = (), workers: int = 2
) -> tuple[Member, ModelCard]:
    """One net with the mean of the weights of a run's newest `count` checkpoints, its batch norms estimated anew.

    What is averaged are the weights that were trained, not their running average (`--ema`), which is one already.
    Raises StriateError when the run has fewer checkpoints.
    """
    folder, net, card = _run(run, classes)
    store = CheckpointFolder(folder.checkpoints, count)
    found = _loaded(store, store.steps()[::-1], count, folder, "")
    net.load_state_dict(_mean([_weights(checkpoint, averaged=False) for checkpoint in found]))
    made = _member(f"{folder.path}, mean of {count} checkpoints", net, card)
    names = _moving_norms(net, folder.settings(), Position(**found[0].state["position"]))
    if names:
        settings = settings_of(folder.path, card.data)  # without its noise: as the net will see images from now on
        train = Exam.of(settings, card.classes).data.train
        loader = Loader(
            train,
            made.preprocess,
            batch_size=min(settings.batch_size, len(train)),
            shuffle=True,
            seed=settings.seed,
            workers=workers,
            drop_last=True,  # the last few images would weigh as much as a whole batch
        )
        reestimate_batch_norms(net, loader, names)
    return made, card


def _moving_norms(net: Net, settings: Settings, position: Position) -> list[str]:
    """The batch norms whose statistics the last epoch moved: neither frozen by themselves nor with their stage."""
    trained = copy.deepcopy(net)
    Tuning(trained, settings).begin_epoch(max(0, position.epoch - (position.batch == 0)))
    return [name for name, norm in batch_norms(trained).items() if norm.training]


def save_tempered(path: str | Path, net: Net, card: ModelCard, temperature: float) -> None:
    """A copy of a model file that answers with its probabilities tempered, in evaluation and prediction alike."""
    temperature *= float(card.metrics.get(TEMPERATURE, 1.0))
    save_model(path, net, dataclasses.replace(card, metrics={**card.metrics, TEMPERATURE: temperature}))


@torch.no_grad()
def reestimate_batch_norms(net: nn.Module, loader: Loader, names: Sequence[str] | None = None) -> None:
    """Set the running statistics of the batch norms of these names (None: of all) to their mean over an epoch; nothing
    else draws or learns.
    """
    norms = [norm for name, norm in batch_norms(net).items() if names is None or name in names]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean over batches
        norm.training = True
    try:
        for batch in loader.epoch(0):
            net(batch.images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.training = False


def _run(run: str | Path, classes: Sequence[str]) -> tuple[RunFolder, Net, ModelCard]:
    if not Path(run).is_dir():
        raise StriateError(f"{run} is no run folder: only a run has checkpoints; give runs/NAME")
    folder = RunFolder.open(run)
    net, card = load_trained(model_path(run), classes=classes)
    return folder, net, card


def _loaded(
    store: CheckpointFolder, steps: Sequence[int], count: int, folder: RunFolder, kind: str
) -> list[Checkpoint]:
    if count < 1:
        raise StriateError(f"{count} checkpoints are asked for; give 1 or more")
    if len(steps) < count:
        raise StriateError(
            f"{folder.path} has {plural(len(steps), f'{kind}checkpoint')}, and {count} are asked for; ask for no more, "
            f"or train with --keep {count}"
        )
    return [store.load(step) for step in steps[:count]]


def _member(name: str, net: Net, card: ModelCard) -> Member:
    preprocess = Preprocess.from_dict(dict(card.preprocess))
    return Member(
        name=name,
        net=net,
        classes=tuple(card.classes),
        preprocess=preprocess,
        trained=policy_from_dict(card.noise).views(preprocess.size) if card.noise else (),
        temperature=float(card.metrics.get(TEMPERATURE, 1.0)),
    )


def _weights(checkpoint: Checkpoint, *, averaged: bool) -> dict[str, Tensor]:
    """The net's own tensors; with `averaged`, their running average where the run kept one."""
    kept = averaged and any(name.startswith("ema.") for name in checkpoint.tensors)
    prefix = "ema." if kept else "model."
    return {name.removeprefix(prefix): t for name, t in checkpoint.tensors.items() if name.startswith(prefix)}


def _mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating tensor, summed in float64; whole numbers (counts) are the first's."""
    first = states[0]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in first.items()
    }
