"""DenseNet: every layer sees all layers before it.

    Huang, Liu, van der Maaten and Weinberger 2016, table 1 (DenseNet-BC, compression ½)

        layer        x_l = F([x_0, x_1, …, x_l−1])       F: norm relu 1×1 to 4k maps, norm relu 3×3 to k maps
        transition   norm relu 1×1 to half the maps, average 2×2

k is the growth rate, the number of maps that a layer adds. Names and shapes are torchvision's. `memory_efficient`
recomputes, in the backward pass, what was concatenated, normalised and squeezed in the forward pass (Pleiss 2017):
memory grows with the depth instead of its square, for about a fifth more time.
"""

import contextlib
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "DenseNet"]

#                growth k, maps of the first convolution, layers of the four blocks
TABLE = {
    "densenet121": (32, 64, (6, 12, 24, 16)),
    "densenet161": (48, 96, (6, 12, 36, 24)),
    "densenet169": (32, 64, (6, 12, 32, 32)),
    "densenet201": (32, 64, (6, 12, 48, 32)),
}
BOTTLENECK = 4  # a 1×1 gives 4k maps before the 3×3 (§3, "Bottleneck layers")


class DenseLayer(nn.Module):
    """All maps so far, as a list of [N, ·, H, W] → [N, growth, H, W]."""

    def __init__(self, channels: int, growth: int, dropout: float, memory_efficient: bool) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.memory_efficient = memory_efficient

    def forward(self, so_far: list[Tensor]) -> Tensor:
        if self.memory_efficient and self.training and torch.is_grad_enabled():
            again = (contextlib.nullcontext(), Forgetting(self.norm1))
            squeezed = checkpoint(self._squeeze, *so_far, use_reentrant=False, context_fn=lambda: again)
        else:
            squeezed = self._squeeze(*so_far)
        y: Tensor = self.dropout(self.conv2(self.relu2(self.norm2(squeezed))))
        return y

    def _squeeze(self, *so_far: Tensor) -> Tensor:
        y: Tensor = self.conv1(self.relu1(self.norm1(torch.cat(so_far, 1))))
        return y


class Forgetting:
    """A context to recompute a batch norm in: the batch has been counted in its running averages already."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm, self.momentum = norm, norm.momentum

    def __enter__(self) -> None:
        self.norm.momentum = 0.0

    def __exit__(self, *error: object) -> None:
        self.norm.momentum = self.momentum
        if self.norm.num_batches_tracked is not None:
            self.norm.num_batches_tracked.sub_(1)


class DenseBlock(nn.Module):
    """[N, C, H, W] → [N, C + layers · growth, H, W]."""

    def __init__(self, layers: int, channels: int, growth: int, dropout: float, memory_efficient: bool) -> None:
        super().__init__()
        for i in range(layers):
            layer = DenseLayer(channels + i * growth, growth, dropout, memory_efficient)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        so_far = [x]
        for layer in self.children():
            so_far.append(layer(so_far))
        return torch.cat(so_far, 1)


class DenseNet(Net):
    """x [N, in_chans, H, W] → features [N, C, ⌊H / 32⌋, ⌊W / 32⌋] → scores; the maps of `features` are normalised."""

    features: nn.Sequential

    def __init__(
        self,
        spec: NetSpec,
        growth: int,
        first: int,
        blocks: tuple[int, ...],
        *,
        dropout: float = 0.0,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__(spec)
        p = probability("dropout", dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(spec.in_chans, first, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(first),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        channels = first
        stages: list[Stage] = []
        for i, depth in enumerate(blocks, start=1):
            layers[f"denseblock{i}"] = DenseBlock(depth, channels, growth, p, memory_efficient)
            channels += depth * growth
            stages.append(Stage(name=f"features.denseblock{i}", stride=2 ** (i + 1), channels=channels))
            if i < len(blocks):
                layers[f"transition{i}"] = _transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.stages = tuple(stages)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, spec.num_classes)
        he(self, convolutions="fan_in", output=self.classifier)

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(self.relu(f)).flatten(1))
        return scores


def _transition(channels: int, maps: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            conv=nn.Conv2d(channels, maps, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


NETS = {
    name: Entry(build=DenseNet, args=args, input_size=(224, 224), source="Huang 2016, table 1")
    for name, args in TABLE.items()
}
