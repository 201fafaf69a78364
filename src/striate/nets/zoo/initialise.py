"""How the zoo's weights begin.

He et al. 2015 ("Delving deep into rectifiers", eqs. 10 and 14): zero mean and variance 2 / n keeps the size of
activations (n = fan in) or of gradients (n = fan out) through layers that end in a ReLU. For convolutions the two are
nearly the same and a family chooses; linear layers take the fan in, since VGG's first has six times more in than out.
The output layer has no ReLU behind it and stays as torch draws it, so that a net begins near a loss of log(classes).
Batch norms begin as the identity, biases at zero. All draws come from torch's generator: `torch.manual_seed` decides.
"""

import math
from typing import Literal

from torch import nn

from striate.nets.initialise.draws import gaussian
from striate.nets.initialise.fans import fans

__all__ = ["he"]


def he(
    net: nn.Module,
    *,
    convolutions: Literal["fan_in", "fan_out"],
    output: nn.Module | tuple[nn.Module, ...],
    gain: float = math.sqrt(2),
) -> None:
    """He's normal initialisation for every convolution and linear layer of `net` except the `output`s, in place.

    `gain` belongs to the activation (`striate.nets.activations.GAINS`); √2 to a ReLU.
    """
    outputs = output if isinstance(output, tuple) else (output,)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if not any(module is kept for kept in outputs):
                mode = convolutions if isinstance(module, nn.Conv2d) else "fan_in"
                fan_in, fan_out = fans(module.weight)
                gaussian(module.weight, gain**2 / (fan_in if mode == "fan_in" else fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
