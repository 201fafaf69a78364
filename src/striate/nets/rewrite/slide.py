"""Linear layers as convolutions: the same answers, and larger images slide.

A linear layer on C×h×w maps is a convolution with an h×w kernel that fits in one place; on larger maps it fits in more,
and a net of nothing but convolutions answers for every window of an image at once, sharing all that the windows share
(Sermanet et al. 2014, "OverFeat", §3.5; Long et al. 2015).
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.activations import LeCunTanh
from striate.nets.flatten import FlattenExactly
from striate.nets.layers.maxout import Maxout
from striate.nets.net import Net
from striate.nets.rewrite.plain import Pair, pair

__all__ = ["Sliding", "as_convolution", "fully_convolutional"]

UNCHANGED = (  # what does to a map, pixel by pixel or window by window, what it does to a row of values
    nn.Conv2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.BatchNorm2d,
    nn.Dropout,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.Tanh,
    nn.Sigmoid,
    nn.GELU,
    nn.PReLU,
    nn.SELU,
    nn.SiLU,
    nn.Softplus,
    LeCunTanh,
    Maxout,
    nn.Identity,
)
TOLERANCE = 1e-4  # of the largest score: float32 sums in another order


class Sliding(nn.Module):
    """x [N, C, H, W] → scores [N, classes, h, w], one for each place where an image of the first size fits."""

    def __init__(self, trunk: Net, classifier: nn.Sequential) -> None:
        super().__init__()
        self.trunk = trunk
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """The map of scores; average it over h and w for one answer."""
        scores: Tensor = self.classifier(self.trunk.features(x))
        return scores


def as_convolution(linear: nn.Linear, size: int | Pair = 1) -> nn.Conv2d:
    """The convolution that gives on [N, C, *size] what `linear` gives on the flattened maps, as [N, out, 1, 1].

    It has the same weights (not copies), in float for float the same order. Raises StriateError when `size` does not
    divide the features that the linear layer takes.

    >>> as_convolution(nn.Linear(512 * 7 * 7, 4096, device="meta"), 7).weight.shape     # VGG's first
    torch.Size([4096, 512, 7, 7])
    """
    height, width = pair(size)
    if height < 1 or width < 1 or linear.in_features % (height * width):
        raise StriateError(f"a linear layer on {linear.in_features} values does not read maps of {height}×{width} px")
    channels = linear.in_features // (height * width)
    conv = nn.Conv2d(channels, linear.out_features, (height, width), bias=linear.bias is not None, device="meta")
    conv.weight = nn.Parameter(linear.weight.detach().view(linear.out_features, channels, height, width))
    if linear.bias is not None:
        conv.bias = nn.Parameter(linear.bias.detach())
    return conv


def fully_convolutional(net: Net) -> Sliding:
    """`net` with a head that slides: the same scores, as [N, classes, 1, 1], for images of `net.spec.input_size`.

    The new net shares the weights of `net` and is in evaluation mode. Whether its head still says the same is tried on
    one random image, except on the meta device.

    Raises StriateError for a head that is no chain of layers which slide.
    """
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            weight = next(net.parameters())
            x = torch.rand(1, net.spec.in_chans, *net.spec.input_size, device=weight.device, dtype=weight.dtype)
            maps = net.features(x)
            if maps.ndim != 4:
                raise StriateError(f"{net.spec.name} has no maps to slide over: its features are {_by(maps.shape[1:])}")
            scores, called = _record(net, maps)
            classifier = _sliding(net.spec.name, called, maps)
            again = classifier(maps).flatten(1)
    finally:
        net.train(was_training)
    if scores.shape != again.shape or (not scores.is_meta and not _close(scores, again)):
        raise StriateError(f"the head of {net.spec.name} is no chain of layers that slide: it would answer otherwise")
    return Sliding(_without(net, called), classifier).eval()


def _record(net: Net, maps: Tensor) -> tuple[Tensor, list[nn.Module]]:
    """What the head answers to `maps`, and the layers it called, in order."""
    called: list[nn.Module] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        called.append(module)

    hooks = [layer.register_forward_hook(note) for layer in _leaves(net)]
    try:
        return net.head(maps), called
    finally:
        for hook in hooks:
            hook.remove()


def _without(net: Net, called: list[nn.Module]) -> Net:
    """A net with the same layers, those of the head left out."""
    trunk = copy.copy(net)
    head = set(called)
    trunk._modules = {  # a copy of the dict: `net` keeps its own
        name: child for name, child in net._modules.items() if child is not None and not head.issuperset(_leaves(child))
    }
    return trunk


def _leaves(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if not any(True for _ in layer.children())]


def _sliding(name: str, called: Iterable[nn.Module], maps: Tensor) -> nn.Sequential:
    """The layers in their sliding form, each made for the size that it sees when `maps` [1, C, h, w] come in."""
    layers = nn.Sequential()
    y = maps
    for layer in called:
        slid = _slid(layer, (y.shape[2], y.shape[3]))
        if slid is None:
            raise StriateError(f"the head of {name} cannot slide: {layer} on {_by(y.shape[1:])}")
        layers.append(slid.eval())
        y = slid(y)
    return layers


def _slid(layer: nn.Module, size: Pair) -> nn.Module | None:
    """A layer that sees maps of `size`, in its sliding form; None when it has none."""
    if isinstance(layer, nn.Linear):
        return as_convolution(layer, size)
    if isinstance(layer, nn.Flatten | FlattenExactly):
        return nn.Identity()
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        wanted = tuple(side or whole for side, whole in zip(_sides(layer.output_size), size, strict=True))
        if wanted == size:
            return nn.Identity()
        return nn.AvgPool2d(size, stride=1) if wanted == (1, 1) else None
    if isinstance(layer, nn.BatchNorm1d):
        norm = nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        norm.load_state_dict(layer.state_dict(), assign=True)
        return norm
    return layer if isinstance(layer, UNCHANGED) else None


def _sides(size: int | tuple[int | None, int | None] | None) -> tuple[int | None, int | None]:
    return size if isinstance(size, tuple) else (size, size)


def _close(old: Tensor, new: Tensor) -> bool:
    return bool((old - new).abs().max() <= TOLERANCE * old.abs().max())


def _by(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))
