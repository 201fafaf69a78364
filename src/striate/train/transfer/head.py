"""A new head that begins as a linear probe: the layer that gives the scores, fitted to what it is given.

A head of random weights sends random gradients through the trained net below it, which forget before they learn (Kumar
et al. 2022, "Fine-tuning can distort pretrained features", §3: probe first, then fine-tune).
"""

import dataclasses

import numpy as np
import torch

from striate.augment.view import View
from striate.data import Preprocess, Samples
from striate.errors import StriateError
from striate.nets import Net
from striate.nets.cut import INPUT
from striate.train.transfer.depth import depth_of
from striate.train.transfer.features import Way, extract
from striate.train.transfer.probes import Linear, Probe, fit_probe

__all__ = ["begin_as_probe", "set_scores"]

CLASSIFIER = "logistic"  # its scores are what the loss of training goes on from
MARGIN = 1.25  # by which scores are lifted beyond the lowest one seen


def begin_as_probe(
    net: Net, train: Samples, preprocess: Preprocess, *, workers: int = 2, device: str | torch.device = "cpu"
) -> str:
    """Fit the scoring layer of `net` to training images as testing sees them, and say how well that went."""
    scoring = depth_of(net).scoring
    way = Way(preprocess=preprocess, views=(View(),))
    rows = extract(net, [scoring + INPUT], train, way, workers=workers, device=device)[scoring + INPUT]
    probe = fit_probe(CLASSIFIER, rows, train.labels, net.spec.num_classes)
    assert probe.linear is not None
    set_scores(net, scoring, probe.linear)
    if _is_rectified(net, scoring, preprocess.size, device):
        every = extract(
            net, [scoring], train, dataclasses.replace(way, pool="flatten"), workers=workers, device=device
        )[scoring]
        with torch.no_grad():
            net.get_submodule(scoring).get_parameter("bias").add_(max(0.0, -MARGIN * float(every.min())))
    return f"{scoring} begins as a {probe.classifier} probe ({probe.setting}): {_expected(probe)}"


@torch.no_grad()
def set_scores(net: Net, scoring: str, linear: Linear) -> None:
    """Put a classifier into the layer that gives the scores. Raises StriateError for a layer of another shape."""
    held = dict(net.get_submodule(scoring).named_parameters(recurse=False))
    if held.keys() != {"weight", "bias"} or held["weight"].flatten(1).shape != linear.weight.shape:
        raise StriateError(f"{scoring} of {net.spec.name} is no linear layer with a bias; leave out --head-probe")
    weight, bias = linear.plain()
    held["weight"].copy_(torch.from_numpy(weight).reshape(held["weight"].shape))
    held["bias"].copy_(torch.from_numpy(bias))


@torch.no_grad()
def _is_rectified(net: Net, scoring: str, size: tuple[int, int], device: str | torch.device) -> bool:
    """Whether negative scores are lost behind the layer (SqueezeNet's paper has a ReLU there): asked with some.

    Scores are then lifted, all by one number, which changes no probability: softmax sees differences.
    """
    bias = net.get_submodule(scoring).get_parameter("bias")
    held, training = bias.clone(), net.training
    bias.fill_(-1e6)
    scores = net.eval()(torch.zeros(1, net.spec.in_chans, *size, device=device))
    bias.copy_(held)
    net.train(training)
    return bool((scores > -1.0).all())


def _expected(probe: Probe) -> str:
    return (
        "too few images to say how good it is" if np.isnan(probe.expected) else f"{probe.expected:.1%} on rows left out"
    )
