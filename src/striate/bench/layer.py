"""The convolutions of a net, each shape once, read from the zoo: geometry is written in one place.

A layer has a key that can be typed, which `--layer` matches and `--shape` reads: maps in, maps out, filter, and `@` the
image it reads; then `/2` for a stride, `d2` for a dilation, `p0` for a padding that is not half the filter, `g32` for
groups.

>>> [layer.key for layer in layers_of("alexnet")][:2]
['3-64-11x11@224/4p2', '64-192-5x5@27']
>>> layers_of("vgg19", "512-*")[-1].count          # conv5_1 to conv5_4 are one shape
4
>>> Layer.of_key("64-64-3x3@112/2g64").weight_shape
(64, 1, 3, 3)
"""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from striate.arithmetic import Window
from striate.errors import StriateError, few

__all__ = ["Layer", "layers_of"]

_KEY = re.compile(
    r"(?P<in>\d+)-(?P<out>\d+)-(?P<kernel>\d+x\d+)@(?P<size>\d+(x\d+)?)"
    r"(/(?P<stride>\d+(x\d+)?))?(d(?P<dilation>\d+(x\d+)?))?(p(?P<padding>\d+(x\d+)?))?(g(?P<groups>\d+))?",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution of images [N, in_maps, *size]. Pairs are (down, across); padding is on either side."""

    in_maps: int
    out_maps: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    names: tuple[str, ...] = ()  # the net's layers of this shape

    @classmethod
    def of_key(cls, key: str) -> Self:
        """The layer that has this key. Raises StriateError where there is none, saying what is wrong."""
        found = _KEY.fullmatch(key)
        if found is None:
            form = "MAPS-MAPS-HxW@PIXELS, then /STRIDE, dDILATION, pPADDING, gGROUPS where they are not the usual ones"
            raise StriateError(f"{key!r} is no convolution: write {form}, as in 64-64-3x3@112/2g64")
        kernel, dilation = _sides(found["kernel"]), _sides(found["dilation"] or "1")
        layer = cls(
            in_maps=int(found["in"]),
            out_maps=int(found["out"]),
            size=_sides(found["size"]),
            kernel=kernel,
            stride=_sides(found["stride"] or "1"),
            padding=_sides(found["padding"]) if found["padding"] else _half(kernel, dilation),
            dilation=dilation,
            groups=int(found["groups"] or "1"),
        )
        if min(layer.in_maps, layer.out_maps, *layer.size, *kernel, *layer.stride, *dilation, layer.groups) < 1:
            raise StriateError(f"{key!r} is no convolution: only a padding may be 0")
        if layer.in_maps % layer.groups or layer.out_maps % layer.groups:
            raise StriateError(f"{key!r} is no convolution: {layer.groups} groups do not divide its maps")
        try:
            layer.out_size  # noqa: B018  # raises what the window says of images too small for it
        except StriateError as e:
            raise StriateError(f"{key!r} is no convolution: {e}") from None
        return layer

    @property
    def out_size(self) -> tuple[int, int]:
        """Pixels down and across of the result."""
        down, across = (
            Window(kernel, stride=stride, padding=padding, dilation=dilation).out(n)
            for n, kernel, stride, padding, dilation in zip(
                self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return down, across

    @property
    def count(self) -> int:
        """How often the net has this shape."""
        return max(1, len(self.names))

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """[out, in / groups, down, across]."""
        return self.out_maps, self.in_maps // self.groups, *self.kernel

    def macs(self, batch: int) -> int:
        """Multiply-adds of the direct sum, padding counted as pixels: what every algorithm's time is held against."""
        down, across = self.out_size
        return batch * self.out_maps * down * across * (self.in_maps // self.groups) * self.kernel[0] * self.kernel[1]

    def nbytes(self, batch: int) -> int:
        """Images, result and weights in float32: what must be moved however clever the algorithm."""
        pixels = self.in_maps * self.size[0] * self.size[1] + self.out_maps * self.out_size[0] * self.out_size[1]
        weights = self.out_maps * (self.in_maps // self.groups) * self.kernel[0] * self.kernel[1]
        return 4 * (batch * pixels + weights)

    @property
    def key(self) -> str:
        """The layer in letters that every keyboard has."""
        settings = "".join(
            f"{sign}{_side(given)}"
            for sign, given, usual in (
                ("/", self.stride, (1, 1)),
                ("d", self.dilation, (1, 1)),
                ("p", self.padding, _half(self.kernel, self.dilation)),
            )
            if given != usual
        )
        groups = f"g{self.groups}" if self.groups > 1 else ""
        kernel = f"{self.kernel[0]}x{self.kernel[1]}"
        return f"{self.in_maps}-{self.out_maps}-{kernel}@{_side(self.size)}{settings}{groups}"

    def __str__(self) -> str:
        return self.key.replace("-", "→", 1).replace("-", " ", 1).replace("x", "×")


def layers_of(net: str, patterns: str = "*", *, kernel: tuple[int, int] | None = None) -> list[Layer]:
    """The distinct convolutions of a net of the zoo at its own image size, in the order it reads them.

    patterns: shell patterns separated by commas, of keys or of the net's own names for its layers; those after a `!`
    are left out. kernel: only filters of this size. Raises StriateError for an unknown net, and where nothing matches.
    """
    found = [layer for layer in _distinct(net) if kernel is None or layer.kernel == kernel]
    words = [word.strip() for word in patterns.split(",")]
    wanted = [word for word in words if not word.startswith("!")] or ["*"]
    unwanted = [word[1:] for word in words if word.startswith("!")]
    chosen = [layer for layer in found if _matches(layer, wanted) and not _matches(layer, unwanted)]
    idle = [word for word in (*wanted, *unwanted) if not any(_matches(layer, [word]) for layer in found)]
    if idle or not chosen:
        keys = few((layer.key for layer in found), 6)
        raise StriateError(
            f"no convolution of {net} matches --layer {idle[0] if idle else patterns!r}; it has {keys or 'none'}"
        )
    return chosen


def _distinct(net: str) -> list[Layer]:
    from torch import nn

    from striate.nets import create_model
    from striate.nets.trace import walk
    from striate.nets.weightless import weightless

    with weightless():
        built = create_model(net)
    shapes: dict[Layer, list[str]] = {}
    for visit in walk(built, (3, *built.spec.input_size)).visits:
        conv = visit.layer
        if not isinstance(conv, nn.Conv2d):
            continue
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
            continue  # padding by reflection or by name is a layer before the convolution
        shapes.setdefault(
            Layer(
                in_maps=conv.in_channels,
                out_maps=conv.out_channels,
                size=_pair(visit.input_shape[1:]),
                kernel=_pair(conv.kernel_size),
                stride=_pair(conv.stride),
                padding=_pair(conv.padding),
                dilation=_pair(conv.dilation),
                groups=conv.groups,
            ),
            [],
        ).append(visit.name.removeprefix("net."))
    return [replace(layer, names=tuple(names)) for layer, names in shapes.items()]


def _matches(layer: Layer, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (layer.key, *layer.names))


def _pair(values: Sequence[int]) -> tuple[int, int]:
    down, across = values
    return down, across


def _half(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """The padding that keeps an image's size, where the filter is odd."""
    return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2


def _sides(text: str) -> tuple[int, int]:
    down, _, across = text.partition("x")
    return int(down), int(across or down)


def _side(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
