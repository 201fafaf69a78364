"""Initialisations by name, for any net.

    gaussian      N(0, 0.01²)                                 Krizhevsky 2012; deep nets die of it
    lecun         N(0, 1 / fan in)                            LeCun 1998
    xavier        uniform, variance 2 / (fan in + fan out)    Glorot 2010, eq. 16: for tanh, where it is nearly linear
    he            N(0, g² / fan in)                           He 2015; g the gain of the activation that follows
    he_fan_out    N(0, g² / fan out)                          He 2015, eq. 14: keeps the size of gradients instead
    orthogonal    g · an orthonormal matrix                   Saxe 2014
    caffe_xavier  uniform, variance 1 / fan in                Caffe's "xavier"
    caffe_msra    N(0, 2 / fan in)                            Caffe's "msra"
    lsuv          orthonormal, then scaled on real images     Mishkin 2016

Biases begin at zero, normalisations as they are. The layer that gives the scores has no activation behind it and keeps
what torch draws (variance 1 / (3 fan in)), so that training starts near a loss of log(classes); under `gaussian` it is
drawn like the others. All draws come from torch's generator.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from striate.errors import StriateError, UnknownName, unknown
from striate.nets.initialise.draws import gaussian, uniform
from striate.nets.initialise.fans import fans
from striate.nets.initialise.gain import gain
from striate.nets.initialise.lsuv import lsuv
from striate.nets.initialise.order import weighted_layers

__all__ = ["SCHEMES", "initialise"]

Draw = Callable[[Tensor, float], None]  # weights, overwritten; the gain


def _orthogonal(weight: Tensor, gain: float) -> None:
    nn.init.orthogonal_(weight, gain)


SCHEMES: Mapping[str, Draw | None] = MappingProxyType(
    {
        "gaussian": lambda w, g: gaussian(w, 0.01**2),
        "lecun": lambda w, g: gaussian(w, 1 / fans(w)[0]),
        "xavier": lambda w, g: uniform(w, 2 / sum(fans(w))),
        "he": lambda w, g: gaussian(w, g * g / fans(w)[0]),
        "he_fan_out": lambda w, g: gaussian(w, g * g / fans(w)[1]),
        "orthogonal": _orthogonal,
        "caffe_xavier": lambda w, g: uniform(w, 1 / fans(w)[0]),
        "caffe_msra": lambda w, g: gaussian(w, 2 / fans(w)[0]),
        "lsuv": None,  # not drawn: it looks at images
    }
)


@torch.no_grad()
def initialise(net: nn.Module, scheme: str, images: Tensor | None = None) -> None:
    """Draw the weights of every layer of `net` anew, in place.

    `images` [N, C, h, w], preprocessed, are what `lsuv` looks at; a net that is not of the zoo needs at least one to be
    walked through. Raises StriateError for a scheme that is not known, and for `lsuv` without images.
    """
    if scheme not in SCHEMES:
        raise UnknownName(unknown("initialisation", scheme, SCHEMES))
    draw = SCHEMES[scheme]
    layers = weighted_layers(net, images)
    for one in layers:
        if isinstance(bias := getattr(one.layer, "bias", None), Tensor):
            nn.init.zeros_(bias)
        for weight in one.filters:
            if one.last and scheme != "gaussian":
                uniform(weight, 1 / (3 * fans(weight)[0]))
            elif draw is not None:
                draw(weight, gain(one.activation))
    if draw is None:
        if images is None:
            raise StriateError(f"{scheme} looks at a batch of images, and there is none; give images")
        lsuv(net, images)
