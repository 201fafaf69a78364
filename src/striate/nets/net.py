"""The net contract: features, a head, stages; nothing else is asked of a net.

`features(x)` turns images into what has been seen, `head(f)` turns that into one score per class. There is no softmax
at the end: it lives in the loss, where log-sum-exp keeps it exact, and in the decoding of a prediction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

__all__ = ["Net", "NetSpec", "Stage"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A place to take feature maps from: module `name` gives `channels` maps, one output every `stride` px.

    Where every layer is padded (VGG, ResNet) and the stride divides the input, that is a map of input / stride px;
    unpadded nets (LeNet-5, AlexNet) lose their borders.
    """

    name: str
    stride: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class NetSpec:
    """Everything `create_model` needs to build the same net again."""

    name: str
    num_classes: int
    in_chans: int
    input_size: tuple[int, int]  # height, width in px
    settings: Mapping[str, Any] = field(default_factory=dict)


class Net(nn.Module, ABC):
    """A classifier of images: x [N, in_chans, H, W] to scores [N, num_classes].

    `features` may be a method or a submodule of that name (torchvision's VGG has one), hence the annotation.
    `fixed_size` says that the head was made for one input size; other nets take every size that fits.
    No module works in place, so that every hook sees what the layer really gave. With published weights, `preprocess`
    says how their images were prepared (see `striate.data.Preprocess`) and `notes` what was changed to make them fit.
    """

    features: Callable[[Tensor], Tensor]
    stages: tuple[Stage, ...]
    fixed_size: ClassVar[bool] = False
    preprocess: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def head(self, f: Tensor) -> Tensor:
        """Scores [N, num_classes] from the features."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, num_classes]; no softmax.

        Raises DoesNotFit, with the layer and the reason, for images this net cannot take. The reason is looked for
        only after torch has refused, so that the good path costs nothing and compiles to one graph.
        """
        try:
            return self.head(self.features(x))
        except (RuntimeError, ValueError) as error:
            from striate.nets.fit import explain  # here, since `fit` walks through nets and so knows this class

            reason = explain(self, x)
            if reason is None:
                raise
            raise reason from error
