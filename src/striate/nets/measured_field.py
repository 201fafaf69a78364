"""What a unit really looks at: the gradient of its value with respect to the pixels.

    contribution[y, x] = mean over random images of Σ_c |∂ unit / ∂ pixel[c, y, x]|

The *support* is every pixel that has any influence: inside the receptive field that arithmetic gives. The *effective*
field is much smaller, a blob that shrinks relative to the theoretical one as a net gets deeper (Luo, Li, Urtasun and
Zemel 2016): the pixels whose contribution is more than 4.55 % (two deviations of a Gaussian) of the largest, its size
being the side of the square with as many pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from striate.errors import StriateError, UnknownName, unknown

__all__ = ["MeasuredField", "measured_field"]

EFFECTIVE_SHARE = 1 - 0.9545  # of the largest contribution: Luo et al. 2016, §4


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredField:
    """Where unit `unit` = (row, column) of the maps of `layer` looks.

    contribution: float64 [H, W], at least 0. support: (top, left, bottom, right) px of the box around all pixels with
    any, the last two excluded; None when no pixel has (a dead unit).
    """

    layer: str
    unit: tuple[int, int]
    contribution: NDArray[np.float64]
    support: tuple[int, int, int, int] | None

    @property
    def support_size(self) -> tuple[int, int]:
        """(height, width) px of the support; (0, 0) for a dead unit."""
        if self.support is None:
            return 0, 0
        top, left, bottom, right = self.support
        return bottom - top, right - left

    @property
    def effective_size(self) -> float:
        """Side, in px, of the square that is as large as the effective field."""
        largest = self.contribution.max()
        return float(np.sqrt((self.contribution > EFFECTIVE_SHARE * largest).sum())) if largest > 0 else 0.0


def measured_field(
    net: nn.Module,
    shape: tuple[int, int, int],
    layer: str,
    *,
    unit: tuple[int, int] | None = None,
    images: int = 8,
    seed: int = 0,
) -> MeasuredField:
    """The field of one unit of `layer`, by default the middle one, over `images` Gaussian images of `shape` (C, H, W).

    All channels of the unit count, with random signs, so that they cannot cancel each other. The net is used as it
    stands, in evaluation mode, and is left as it was; a net fresh from its initialisation answers for its
    architecture, a trained one for what it learnt.

    Raises StriateError for a layer that the net does not have or did not call, one that gives no maps, and a unit
    outside the maps.
    """
    modules = {name: module for name, module in net.named_modules() if name}
    if layer not in modules:
        raise UnknownName(unknown("layer", layer, modules))
    weight = next(net.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(shape[1:], dtype=torch.float64)
    was_training = net.training
    net.eval()
    try:
        for _ in range(images):  # one at a time: a batch of large images would need their activations all at once
            x = torch.randn(1, *shape, generator=generator, dtype=torch.float64)
            x = x.to(weight.device, weight.dtype).requires_grad_()
            maps = _maps(net, modules[layer], x, layer)
            place = unit or (maps.shape[2] // 2, maps.shape[3] // 2)
            if not (0 <= place[0] < maps.shape[2] and 0 <= place[1] < maps.shape[3]):
                raise StriateError(f"{layer} gives maps of {maps.shape[2]}×{maps.shape[3]}; there is no unit {place}")
            signs = (2 * torch.randint(0, 2, (maps.shape[1],), generator=generator) - 1).to(maps)
            (gradient,) = torch.autograd.grad((maps[0, :, place[0], place[1]] * signs).sum(), x)
            total += gradient[0].abs().sum(0).double().cpu()
    finally:
        net.train(was_training)
    contribution = (total / images).numpy()
    return MeasuredField(layer=layer, unit=place, contribution=contribution, support=_box(contribution))


def _maps(net: nn.Module, module: nn.Module, x: Tensor, layer: str) -> Tensor:
    """What `module` gives while `x` passes through the net; of several calls the last."""
    given: list[Tensor] = []
    hook = module.register_forward_hook(lambda module, inputs, output: given.append(output))
    try:
        net(x)
    finally:
        hook.remove()
    if not given:
        raise StriateError(f"the net never called {layer} for this image")
    if not isinstance(given[-1], Tensor) or given[-1].ndim != 4:
        raise StriateError(f"{layer} gives no maps: choose a layer before the images become rows of values")
    return given[-1]


def _box(contribution: NDArray[np.float64]) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(contribution.any(1)), np.flatnonzero(contribution.any(0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
