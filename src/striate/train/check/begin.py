"""From settings to the subject of a check: the data opened, the net and the preprocessing as a run would begin."""

import dataclasses
from pathlib import Path

import numpy as np

from striate.data import Preprocess
from striate.errors import StriateError
from striate.nets import list_models
from striate.nets.weights import load_model
from striate.train.check.subject import Subject
from striate.train.colours import Colours
from striate.train.folder import RunFolder
from striate.train.initial import begin_weights
from striate.train.progress import Silent
from striate.train.resolve import open_data, resolve
from striate.train.run import build_net, choose_preprocess
from striate.train.settings import Settings

__all__ = ["subject_of"]

FITTED = 4000  # images that mean, deviation and the like are taken from: within 2 % of what a run takes from all


def subject_of(settings: Settings) -> Subject:
    """The net and the data that settings name; `model` may also be a model file or a run folder, with its weights.

    Raises StriateError as a run would that cannot begin.
    """
    if _is_file(settings.model):
        return _of_file(settings)
    data = open_data(settings)
    settings = resolve(settings, data)
    net = build_net(settings, data)
    count = min(len(data.train), FITTED)
    some = data.train.subset(np.arange(count) * len(data.train) // count)
    few = dataclasses.replace(data, train=some)
    preprocess = choose_preprocess(settings, Colours(settings, few), net, Silent())
    begin_weights(settings, net, few, preprocess, Silent())
    return Subject.of(settings, net.cpu(), data, preprocess, trained=settings.pretrained is not None)


def _of_file(settings: Settings) -> Subject:
    if settings.init is not None or settings.pretrained is not None or settings.model_settings:
        raise StriateError(f"{settings.model} has its weights and settings: leave out --init, --pretrained and --set")
    path = Path(settings.model)
    file = RunFolder.open(path).trained_model() if path.is_dir() else path
    net, card = load_model(file)
    data = open_data(settings)
    if tuple(data.classes) != tuple(card.classes):
        raise StriateError(
            f"{file} tells {len(card.classes)} classes apart ({', '.join(card.classes[:3])} …), and {data.name} has "
            f"{len(data.classes)} ({', '.join(data.classes[:3])} …); check it on the data it was trained on"
        )
    settings = resolve(settings.replace(model=card.net, channels=card.in_chans, size=card.input_size[0]), data)
    preprocess = Preprocess.from_dict(dict(card.preprocess))
    return Subject.of(settings, net, data, preprocess, trained=True)


def _is_file(name: str) -> bool:
    return name not in list_models() and (Path(name).exists() or bool(Path(name).suffix))
