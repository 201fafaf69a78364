"""`AcceleratedConv2d`: a Conv2d that has passes for one call, the example's, and is torch's in any other."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch._jit_internal import is_scripting  # torch.jit has it untyped

from striate import _native
from striate.conv.example import element_of_call
from striate.conv.measure import TORCH
from striate.conv.passes import Passes
from striate.conv.plans import layout_of
from striate.conv.team import team_size
from striate.conv.watched import is_watched

__all__ = ["AcceleratedConv2d", "AsFound", "Known", "install", "installed", "uninstall"]


@dataclass(frozen=True)
class Known:
    """The one call that a layer has passes for."""

    passes: Passes
    settings: tuple[Any, ...]  # the layer's, as it was measured

    def fits(self, layer: nn.Conv2d, x: Tensor, weight: Tensor) -> bool:
        """Whether this is that call. While exporting images are of any size: the algorithm is fixed, not the plan."""
        of_size = torch.compiler.is_exporting() or (
            x.shape == self.passes.shape.images and layout_of(x) == self.passes.x_layout
        )
        return (
            of_size
            and x.ndim == 4
            and x.is_cpu
            and _settings_of(layer, weight) == self.settings
            and element_of_call(x, weight) == self.passes.element
        )


class _Packed(NamedTuple):
    """Weights in the form that a plan reads."""

    passes: Passes
    weight: Tensor  # an alias: while it lives, nothing else can lie at its address
    version: int
    weights: _native.PackedWeights


class AcceleratedConv2d(nn.Conv2d):
    """A Conv2d that computes a known call by the passes chosen for it. Made by `accelerate`, never directly."""

    if TYPE_CHECKING:  # torch.jit.script would read them
        _known: Known | None
        _packed: _Packed | None

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        if is_scripting():
            result: Tensor = self._conv_forward(input, self.weight, self.bias)
        else:  # by the class: whoever keeps this method calls it of a layer that is restored, too
            result = AcceleratedConv2d._by_known_passes(self, input)
        return result

    def train(self, mode: bool = True) -> Self:
        self._packed = None
        return super().train(mode)

    def pack(self) -> None:
        """Pack the weights for an answer now, rather than at the first one."""
        if self._known is not None and self._known.passes.forward != TORCH:
            self._packed_by(_for_this_team(self._known.passes), self.weight)

    def _by_known_passes(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        known: Known | None = getattr(self, "_known", None)
        is_compiling = torch.compiler.is_compiling()
        if known is None or (not is_compiling and is_watched(x, weight, bias)) or not known.fits(self, x, weight):
            torchs: Tensor = self._conv_forward(x, weight, bias)
            return torchs
        learns = torch.is_grad_enabled() and (
            x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
        )
        if learns and self._packed is not None and not torch.compiler.is_exporting():
            self._packed = None  # the weights may change in ways that raise no version: fused optimisers
        passes = known.passes if is_compiling else _for_this_team(known.passes)
        if torch.is_autocast_enabled("cpu"):
            x = x.bfloat16()
        if not learns and passes.forward != TORCH and not is_compiling:
            packed = self._packed_by(passes, weight)
            if packed is not None:
                return passes.infer(x, packed, bias)
        return passes.apply(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))

    def _packed_by(self, passes: Passes, weight: Any) -> _native.PackedWeights | None:
        """`weight` as the plan reads it, packed anew whenever it has changed.

        None where a change cannot be told: of weights made in inference mode, or shared with other processes.
        """
        packed = self._packed
        if weight.is_inference():
            return None
        if (
            packed is None
            or packed.passes is not passes
            or packed.version != weight._version
            or packed.weight.data_ptr() != weight.data_ptr()
        ):
            if weight.is_shared():
                return None
            dtype = torch.bfloat16 if passes.element == "bfloat16" else torch.float32
            packed = _Packed(passes, weight.detach(), weight._version, passes.forward_plan().pack(weight.to(dtype)))
            self._packed = packed
        return packed.weights

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # a copy packs its own


def install(module: nn.Module, passes: Passes) -> None:
    """Let a plain Conv2d compute by these passes; an accelerated one by these instead."""
    assert isinstance(module, nn.Conv2d)
    if type(module) is nn.Conv2d:
        module.__class__ = AcceleratedConv2d  # which adds no parameter, and a forward of its own
    module.__dict__["_known"] = Known(passes, _settings_of(module, module.weight))
    module.__dict__["_packed"] = None


def installed(model: nn.Module) -> list[tuple[AcceleratedConv2d, Passes]]:
    """The layers that compute by passes of their own, and which."""
    layers = [m for m in model.modules() if isinstance(m, AcceleratedConv2d)]
    return [(layer, layer._known.passes) for layer in layers if layer._known is not None]


def uninstall(model: nn.Module) -> None:
    """All layers as torch has them."""
    for module in model.modules():
        if not isinstance(module, AcceleratedConv2d):
            continue
        if type(module) is AcceleratedConv2d:
            del module.__dict__["_known"], module.__dict__["_packed"]
            plain: nn.Module = module
            plain.__class__ = nn.Conv2d
        else:  # a class made of this one since, by torch.nn.utils.parametrize: it stays, and computes as torch does
            module._known = module._packed = None


class AsFound:
    """The layers of a model compute again as they did, if anything is raised within."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._found = installed(self._model)

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        if raised is not None:
            uninstall(self._model)
            for layer, passes in self._found:
                install(layer, passes)


def _settings_of(layer: nn.Conv2d, weight: Tensor) -> tuple[Any, ...]:
    return (weight.shape, layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode)


@lru_cache(maxsize=4096)
def _with_threads(passes: Passes, threads: int) -> Passes:
    return replace(passes, threads=threads)


def _for_this_team(passes: Passes) -> Passes:
    """The same on as many threads as torch has now."""
    threads = team_size()
    return passes if passes.threads == threads else _with_threads(passes, threads)
