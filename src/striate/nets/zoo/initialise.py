"""How the zoo's weights begin.

He et al. 2015 ("Delving deep into rectifiers", eqs. 10 and 14): zero mean and variance 2 / n keeps the size of
activations (n = fan in) or of gradients (n = fan out) through layers that end in a ReLU. Batch norms begin as the
identity; biases at zero. All draws come from torch's generator, so `torch.manual_seed` decides them.
"""

from typing import Literal

from torch import nn

__all__ = ["he"]


def he(net: nn.Module, *, mode: Literal["fan_in", "fan_out"], linear_std: float | None = None) -> None:
    """He's normal initialisation for every convolution and linear layer of `net`, in place.

    With `linear_std` the linear layers are drawn with that standard deviation instead.
    """
    for module in net.modules():
        if isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0.0, linear_std)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
