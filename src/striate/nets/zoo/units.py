"""Convolutions with what follows them, as most families stack them: the two units that have torchvision's names."""

from torch import Tensor, nn

__all__ = ["ConvNormReLU", "ConvReLU"]

_Px = int | tuple[int, int]


class ConvNormReLU(nn.Module):
    """Convolution without bias, batch norm, ReLU; torchvision's BasicConv2d, ε = 0.001 as in TensorFlow's nets."""

    def __init__(self, channels: int, maps: int, kernel: _Px, *, stride: int = 1, padding: _Px = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, maps, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(maps, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class ConvReLU(nn.Module):
    """Convolution with bias, ReLU: how nets were built before batch norm."""

    def __init__(self, channels: int, maps: int, kernel: _Px, *, stride: int = 1, padding: _Px = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, maps, kernel, stride=stride, padding=padding)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.conv(x))
        return y
