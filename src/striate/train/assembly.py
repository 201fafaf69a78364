"""What a training loop is made of, from settings that are resolved: a run's and a search trial's alike."""

from dataclasses import dataclass
from typing import final

import torch

from striate.augment import policy_to_dict
from striate.data import Dataset, Loader, Preprocess, Samples
from striate.data.sampling import Sampling
from striate.nets import Net
from striate.nets.weights import ModelCard
from striate.tasks import Classification
from striate.train.checkpoint import Checkpoint
from striate.train.ema import WeightAverage
from striate.train.noise import policy_of
from striate.train.optim import build_optimizer
from striate.train.precision import grad_scaler, memory_format
from striate.train.sampling import drawn_from
from striate.train.schedule import Rate
from striate.train.settings import Settings
from striate.train.state import Parts, Position
from striate.train.transfer.tuning import Tuning

__all__ = ["Assembled", "assemble", "make_loader"]


@final
@dataclass(frozen=True, kw_only=True)
class Assembled:
    """The parts of a loop, and the card of the model that comes out of it, without measures."""

    device: torch.device
    task: Classification
    train: Loader
    val: Loader | None
    tuning: Tuning
    parts: Parts
    position: Position
    card: ModelCard


def assemble(
    settings: Settings, data: Dataset, preprocess: Preprocess, net: Net, checkpoint: Checkpoint | None
) -> Assembled:
    """Everything where it begins, or where the checkpoint left it. `net` has its first weights, and is changed."""
    device = torch.device(settings.device)
    net.to(memory_format=memory_format(bool(settings.channels_last)))  # type: ignore[call-overload]  # stub omits it
    images, law = drawn_from(settings, data)
    train = make_loader(images, preprocess, settings, noisy=True, sampling=law)
    val = make_loader(data.val, preprocess, settings, noisy=False) if data.val is not None else None
    steps_per_epoch = -(-len(train) // settings.accumulate)
    total_steps = min(settings.epochs * steps_per_epoch, settings.max_steps or settings.epochs * steps_per_epoch)
    tuning = Tuning(net, settings)
    parts = Parts(
        net=net,
        optimizer=build_optimizer(net, settings, tuning),
        scaler=grad_scaler(device, settings.precision),
        average=WeightAverage(net, settings.ema) if settings.ema else None,
        rate=Rate(settings, steps_per_epoch, total_steps),
    )
    position = parts.restore(checkpoint) if checkpoint is not None else Position()
    card = ModelCard(
        net=settings.model,
        settings=settings.model_settings,
        classes=data.classes,
        in_chans=preprocess.channels,
        input_size=preprocess.size,
        preprocess=preprocess.to_dict(),
        noise=policy_to_dict(policy_of(settings, preprocess)),  # in one order, however the config came to be
        data=settings.data,
        split=settings.split,
        metrics={},
    )
    return Assembled(
        device=device,
        task=Classification(data.classes, label_smoothing=settings.label_smoothing),
        train=train,
        val=val,
        tuning=tuning,
        parts=parts,
        position=position,
        card=card,
    )


def make_loader(
    samples: Samples, preprocess: Preprocess, settings: Settings, *, noisy: bool, sampling: Sampling = "all"
) -> Loader:
    """Batches as these settings ask for them; `noisy`: training's, shuffled, through the policy, this rank's share."""
    return Loader(
        samples,
        preprocess,
        batch_size=settings.batch_size,
        policy=policy_of(settings, preprocess) if noisy else None,
        shuffle=noisy,
        sampling=sampling,
        rank=(settings.rank or 0) if noisy else 0,
        ranks=(settings.ranks or 1) if noisy else 1,
        seed=settings.seed,
        workers=settings.workers,
        drop_last=noisy,  # a last batch of one image has no batch statistics
        channels_last=bool(settings.channels_last),
        device=settings.device if settings.device.startswith("cuda") else None,
    )
