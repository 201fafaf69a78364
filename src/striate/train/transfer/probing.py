"""The plan that trains no net: a classifier on the features of one layer, as a net of its own that can be deployed."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from striate.data import Preprocess
from striate.nets import Net
from striate.nets.cut import CutNet
from striate.nets.registry import build
from striate.nets.weights import ModelCard
from striate.train.transfer.features import Pool
from striate.train.transfer.probes import Linear, Probe, fit_probe

__all__ = ["Chosen", "Start", "best_place", "deployed", "spread_of"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """The probe of one place, and the place."""

    place: str
    probe: Probe


@final
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """A probe as a net, for training to go on from: in memory and as a model file, and what training must know of it.

    `penalty`: λ of λ/2 ‖classifier‖² beside the mean loss; `spread`: largest eigenvalue of its features' covariance.
    """

    net: Net
    card: ModelCard
    file: Path
    told: str
    penalty: float
    spread: float


def best_place(
    rows: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64], classes: int, classifier: str, *, seed: int = 0
) -> Chosen:
    """The deepest place whose probe is as good, on rows left out, as the best one's.

    As good: within a standard error of it (Hastie 2009, §7.10). With twenty rows that is ten points, and an early layer
    that is ahead by less is ahead by luck; what is left where none could be left out is the deepest.
    """
    found = [
        Chosen(place=place, probe=fit_probe(classifier, seen, labels, classes, seed=seed))
        for place, seen in rows.items()
    ]
    best = max((chosen.probe.expected for chosen in found), default=np.nan)
    error = math.sqrt(best * (1 - best) / len(labels)) if best == best else math.inf
    return next(chosen for chosen in reversed(found) if not chosen.probe.expected < best - error)


def deployed(
    source: Net,
    card: ModelCard,
    place: str,
    linear: Linear,
    *,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    data: str,
    split: Mapping[str, Any],
    pool: Pool = "mean",
    unit: bool = False,
) -> tuple[Net, ModelCard]:
    """The source cut off at `place` with the classifier on it, in evaluation mode, and its card."""
    settings = {
        "net": card.net,
        "place": place,
        "pool": pool,
        "unit": unit,
        "net_settings": json.loads(json.dumps(dict(card.settings))),
        "net_classes": len(card.classes),
    }
    own = ModelCard(
        net="cut",
        settings=settings,
        classes=classes,
        in_chans=preprocess.channels,
        input_size=preprocess.size,
        preprocess=preprocess.to_dict(),
        data=data,
        split=split,
    )
    net = build(own.net, num_classes=len(classes), in_chans=own.in_chans, input_size=own.input_size, **settings)
    assert isinstance(net, CutNet)
    held = {"net." + name: tensor for name, tensor in source.state_dict().items()}
    net.base.load_state_dict({name: held[name] for name in net.base.state_dict()})
    with torch.no_grad():
        for held_by, value in (
            (net.linear.weight, linear.weight),
            (net.linear.bias, linear.bias),
            (net.centre, linear.centre),
            (net.scale, np.asarray(linear.scale)),
        ):
            held_by.copy_(torch.from_numpy(value))
    return net.eval(), own


def spread_of(rows: NDArray[np.float32], linear: Linear) -> float:
    """The largest eigenvalue of the covariance of rows [N, D], as the classifier sees them."""
    seen = (rows - linear.centre) * linear.scale
    return float(np.linalg.norm(seen, 2) ** 2 / len(seen))
