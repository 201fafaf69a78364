"""A net by name, with or without trained weights: the front door of the room."""

from pathlib import Path
from typing import Any

from striate.errors import StriateError
from striate.nets.net import Net
from striate.nets.registry import build, model_info
from striate.nets.weights.tensors import load_into

__all__ = ["create_model"]


def create_model(
    name: str,
    *,
    num_classes: int = 1000,
    in_chans: int = 3,
    input_size: tuple[int, int] | None = None,
    pretrained: bool | str | Path | None = None,
    **settings: Any,
) -> Net:
    """The net `name`, in training mode, on the default device.

    `input_size` is (height, width) in px; nets whose head depends on it (`fixed_size`) are made for it, the others are
    only checked against it; without it the net is made for the size it was published for. `settings` are the net's
    own, see `model_info(name).settings`. `pretrained` is a safetensors file whose tensors have this net's names and
    shapes. The weights drawn depend on `torch.manual_seed` alone.

    Raises StriateError for a name, a setting or a file that cannot be used, DoesNotFit for an input size that a layer
    cannot take.

    >>> net = create_model("lenet5", num_classes=10, in_chans=1)
    >>> sum(p.numel() for p in net.parameters())
    61706
    """
    if pretrained is True:
        raise StriateError(
            f"no published weights are known for {model_info(name).name} yet; "
            "give a safetensors file: pretrained='weights.safetensors'"
        )
    net = build(name, num_classes=num_classes, in_chans=in_chans, input_size=input_size, **settings)
    if pretrained:
        load_into(net, Path(pretrained))
    return net
