"""`Conv2d`: torch's module, computed by this room."""

from typing import Any

from torch import Tensor, nn
from torch._jit_internal import is_scripting  # torch.jit has it untyped

from striate.conv.functional import conv2d
from striate.conv.shape import WrongShape

__all__ = ["Conv2d"]


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` with an `algorithm`: the same arguments, parameters, state dict and initial weights.

    Raises WrongShape for a padding mode other than zeros.
    """

    def __init__(self, *arguments: Any, algorithm: str = "auto", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if self.padding_mode != "zeros":
            raise WrongShape(f"Conv2d: pads with zeros; for padding_mode={self.padding_mode!r} use torch.nn.Conv2d")
        self.algorithm = algorithm

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        if is_scripting():  # it knows torch's operators only, and compiles one of the two returns
            result: Tensor = self._conv_forward(input, self.weight, self.bias)
        else:
            result = conv2d(
                input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, self.algorithm
            )
        return result

    def extra_repr(self) -> str:
        described: Any = super().extra_repr
        return f"{described()}, algorithm={self.algorithm}"
