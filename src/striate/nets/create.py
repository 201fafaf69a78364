"""A net by name, with or without trained weights: the front door of the room."""

from pathlib import Path
from typing import Any

from striate.nets.net import Net
from striate.nets.registry import build, model_info
from striate.nets.weights.pretrained import load_into, locate

__all__ = ["create_model"]


def create_model(
    name: str,
    *,
    num_classes: int = 1000,
    in_chans: int = 3,
    input_size: tuple[int, int] | None = None,
    pretrained: bool | str | Path | None = None,
    offline: bool = False,
    **settings: Any,
) -> Net:
    """The net `name`, in training mode, on the default device.

    `input_size` is (height, width) in px; nets whose head depends on it (`fixed_size`) are made for it, the others are
    only checked against it; without it the net is made for the size it was published for. `settings` are the net's
    own, see `model_info(name).settings`, and for every net with ReLUs `activation="elu"` or another name of
    `striate.nets.activations.ACTIVATIONS`, which takes their place. The weights drawn depend on `torch.manual_seed`
    alone.

    `pretrained` is True or "published" for the published weights, the name of one of them ("resnet50-11ad3fa6"), a
    hub's ("hf:owner/name"), or a file of safetensors or of torch.save, whose tensors have this net's names and shapes.
    Another number of classes, grey images in place of coloured ones and auxiliary heads left out are made up for;
    `net.notes` says how. `offline`, or the environment's STRIATE_OFFLINE, fetches nothing. With published weights,
    `net.preprocess` says how their images were prepared.

    Raises StriateError for a name, a setting or weights that cannot be used, DoesNotFit for an input size that a layer
    cannot take.

    >>> net = create_model("lenet5", num_classes=10, in_chans=1)
    >>> sum(p.numel() for p in net.parameters())
    61706
    """
    source = None
    if pretrained is not None and pretrained is not False:  # "" was meant to be a name
        source = locate(model_info(name).name, pretrained, offline=offline)
    net = build(name, num_classes=num_classes, in_chans=in_chans, input_size=input_size, **settings)
    if source is not None:
        load_into(net, source)
    return net
