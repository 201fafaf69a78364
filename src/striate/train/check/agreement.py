"""Do training and evaluation see and say the same of one batch, once the noise is averaged away?

Three questions. Is the image that training reads, without a policy, the one that prediction reads? Does the net say the
same in both modes when batch norms use this batch's moments in both and nothing draws? Is the mean of each layer that
draws (dropout and its kin) what it gives in evaluation?
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from striate.train.check.finding import Finding
from striate.train.check.noisy import Noisy, noisy_layers, silence
from striate.train.check.subject import Subject, quietly

__all__ = ["agreement"]

IMAGES = 16
DRAWS = 400
DEVIATIONS = 5.0  # of a mean over draws: once in two million by chance; a tenth dropped and not scaled is at 6.7
WHITENED = 1e-4  # a matrix product of one image and of many rounds in other places
ROUNDING = 1e-3  # of the largest score: batch moments in two orders of summation, through a hundred layers


@torch.no_grad()
def agreement(subject: Subject) -> Finding:
    """One finding for the three; the first disagreement is told."""
    images, _ = subject.batch(IMAGES)
    if (place := _pixels(subject)) is not None:
        remedy = "training and prediction prepare images differently; look at the loader's preprocessing"
        return Finding(name="modes", verdict="failed", evidence=place, remedy=remedy)
    net = subject.fresh()
    noisy = noisy_layers(net, images)
    for layer in noisy:
        off = _bias(layer)
        if off > DEVIATIONS:
            evidence = f"{layer.name}: its mean in training is {off:.1f} deviations from what it gives in evaluation"
            remedy = "scale in training or in evaluation (1 − p), once and not twice"
            return Finding(name="modes", verdict="failed", evidence=evidence, remedy=remedy)
    apart, norms = _modes_apart(net, images)
    figures = {"difference": apart, "batch norms": norms, "noisy layers": [layer.name for layer in noisy]}
    evidence = (
        f"training and evaluation differ by {apart:.1g} of the largest score "
        f"({norms} batch norms, {len(noisy)} layers of noise)"
    )
    if math.isfinite(apart) and apart <= ROUNDING:
        return Finding(name="modes", verdict="ok", evidence=evidence, figures=figures)
    remedy = "something else than batch norm and noise depends on the mode; look for self.training"
    return Finding(name="modes", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)


def _pixels(subject: Subject) -> str | None:
    """Where the loader's images differ from those of prediction."""
    from striate.data import Loader

    few = subject.data.train.subset(range(min(4, len(subject.data.train))))
    ((images, _, _),) = Loader(few, subject.preprocess, batch_size=len(few), workers=0).epoch(0)
    for i, image in enumerate(images):
        other = subject.preprocess.tensor(few.pixels(i, subject.preprocess.channels))
        apart = float((image - other).abs().max())
        if apart > (0.0 if subject.preprocess.whitening is None else WHITENED):
            return f"{few.name(i)} differs by {apart:.2g} between the loader and prediction"
    return None


def _bias(noisy: Noisy) -> float:
    """How far training's mean lies above or below evaluation in size, in standard errors, on average over the values.

    On average: one decision may serve a whole map, or a whole batch, so that more values are no more evidence.
    """
    layer = noisy.layer
    layer.eval()
    still: Tensor = layer(*noisy.inputs)
    layer.train()
    total, squares = torch.zeros_like(still, dtype=torch.float64), torch.zeros_like(still, dtype=torch.float64)
    with quietly(0):
        for _ in range(DRAWS):
            difference = (layer(*noisy.inputs) - still).double()
            total += difference
            squares += difference.square()
    mean = total / DRAWS
    error = ((squares / DRAWS - mean.square()).clamp_min(0) / DRAWS).sqrt()
    drawn = error > 1e-6 * still.abs().max()
    if not bool(drawn.any()):
        return 0.0
    return abs(float((mean * still.sign() / error)[drawn].mean()))


def _modes_apart(net: nn.Module, images: Tensor) -> tuple[float, int]:
    """The largest difference of scores between the modes, as a share of the largest score; and the batch norms."""
    norms = [layer for layer in net.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    silence(net, images)
    moments: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def read(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].transpose(0, 1).flatten(1).double()
        moments.setdefault(layer, []).append((x.mean(1), x.var(1, correction=0)))

    hooks = [norm.register_forward_pre_hook(read) for norm in norms]
    trained = net(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        for mean, variance in moments.get(norm, ())[:1]:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    evaluated = net.eval()(images)
    return float((trained - evaluated).abs().max() / trained.abs().max().clamp_min(1e-12)), len(norms)
