"""A layer of a Caffe net, whichever of the two formats its message is in.

The old format says `layers { type: CONVOLUTION blobs_lr: 1 }` where the new one says
`layer { type: "Convolution" param { lr_mult: 1 } }`; what a layer computes is stated by the same messages in both. A
file with both kinds is read as Caffe reads it: the old ones are the net.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.nets.caffe.messages import choice, message_class
from striate.nets.caffe.read import blob

__all__ = ["Layer", "layers_of"]

# Where an old type in capitals becomes one word with capitals in another way than by its underscores.
RENAMED = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a layer is called, takes and gives. `lr_mult` and `decay_mult` are per blob, 1 where nothing is said."""

    name: str
    type: str  # as the new format writes it: "InnerProduct"
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any
    shared: tuple[str, ...] = ()  # names under which blobs are shared between layers; "" for those that are not
    lr_mult: tuple[float, ...] = ()
    decay_mult: tuple[float, ...] = ()

    def settings(self, kind: str) -> Any:
        """The message `kind`_param, with Caffe's defaults where the layer, or its whole format, says nothing."""
        name = f"{kind}_param"
        holder = self.message if name in self.message.DESCRIPTOR.fields_by_name else message_class("LayerParameter")()
        return getattr(holder, name)

    def blobs(self, where: object) -> list[NDArray[np.float32]]:
        """The layer's numbers. Raises StriateError, naming `where`, for a blob whose numbers do not fill its shape."""
        return [blob(b, f"{where}: blob {i} of layer {self.name!r}") for i, b in enumerate(self.message.blobs)]


def layers_of(net: Any) -> list[Layer]:
    """The layers of a NetParameter in their order."""
    if net.layers:
        return [_old(message) for message in net.layers]
    return [_new(message) for message in net.layer]


def _new(message: Any) -> Layer:
    return Layer(
        name=message.name,
        type=message.type,
        bottoms=tuple(message.bottom),
        tops=tuple(message.top),
        message=message,
        shared=tuple(param.name for param in message.param),
        lr_mult=tuple(param.lr_mult for param in message.param),
        decay_mult=tuple(param.decay_mult for param in message.param),
    )


def _old(message: Any) -> Layer:
    word = choice(message, "type")
    return Layer(
        name=message.name,
        type=RENAMED.get(word, _capitalised(word.split("_"))),
        bottoms=tuple(message.bottom),
        tops=tuple(message.top),
        message=message,
        shared=tuple(message.param),
        lr_mult=tuple(message.blobs_lr),
        decay_mult=tuple(message.weight_decay),
    )


def _capitalised(words: Sequence[str]) -> str:
    return "".join(word.capitalize() for word in words)
