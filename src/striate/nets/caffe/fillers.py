"""How Caffe's nets begin, for a net that is trained anew: the filler that each blob states.

xavier is Glorot 2010 as Caffe has it, uniform with variance 1 / n; msra is He 2015, normal with variance 2 / n. n is
the fan in (values per output) unless `variance_norm` says otherwise. All draws come from torch's generator.
"""

import math
from typing import Any

import torch
from torch import Tensor

from striate.errors import StriateError, unknown
from striate.nets.caffe.messages import choice
from striate.nets.initialise.draws import gaussian, uniform
from striate.nets.initialise.fans import fans

__all__ = ["fill"]

KINDS = ("bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier")


def fill(tensor: Tensor, filler: Any) -> None:
    """Overwrite `tensor` as the FillerParameter `filler` says. Raises StriateError for a filler that is not known."""
    with torch.no_grad():
        match filler.type:
            case "constant":
                tensor.fill_(filler.value)
            case "uniform":
                tensor.uniform_(filler.min, filler.max)
            case "gaussian":
                tensor.normal_(filler.mean, filler.std)
                if filler.sparse >= 0:  # so many inputs of each output, on average, are not zero
                    tensor.mul_(torch.rand_like(tensor) < filler.sparse / len(tensor))
            case "xavier":
                uniform(tensor, 1 / _fan(tensor, choice(filler, "variance_norm")))
            case "msra":
                gaussian(tensor, 2 / _fan(tensor, choice(filler, "variance_norm")))
            case "positive_unitball":
                tensor.uniform_(0, 1)
                tensor.div_(tensor.flatten(1).sum(1).view(-1, *[1] * (tensor.ndim - 1)))
            case "bilinear":
                tensor.copy_(_bilinear(tensor.shape[-1]).expand_as(tensor))
            case _:
                raise StriateError(unknown("filler", filler.type, KINDS))


def _fan(tensor: Tensor, norm: str) -> float:
    fan_in, fan_out = fans(tensor)
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[norm]


def _bilinear(side: int) -> Tensor:
    """[side, side]: the weights with which a deconvolution interpolates (Long 2015)."""
    half = math.ceil(side / 2)
    centre = (2 * half - 1 - half % 2) / (2 * half)
    ramp = 1 - (torch.arange(side) / half - centre).abs()
    return ramp[:, None] * ramp
