"""Nets without convolutions, to know what convolutions are worth.

    two_layer:  affine – relu – affine
    mlp:        {affine – [batch norm] – relu – [dropout]} × (L − 1) – affine

The two-layer net and the fully connected net of any depth of CS231n's first assignments; the softmax that ends them on
the blackboard is in the loss, as everywhere here. `hidden=(512, 256)` is L = 3. Dropout is inverted: it scales while
training, so that nothing is left to do at test time (Srivastava 2014, §10).
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.activations import GAINS, activation_of, pieces_of
from striate.nets.flatten import FlattenExactly
from striate.nets.net import Net, NetSpec
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import count, probability

__all__ = ["MLP", "NETS"]


class MLP(Net):
    """x [N, in_chans, H, W] → features [N, hidden[-1]] → scores. There are no feature maps, hence no stages."""

    features: nn.Sequential
    stages = ()
    fixed_size = True

    def __init__(
        self,
        spec: NetSpec,
        *,
        hidden: int | Sequence[int] = (512, 512),
        batch_norm: bool = False,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__(spec)
        widths = _widths(hidden)
        p = probability("dropout", dropout)
        squash, pieces = activation_of(activation), pieces_of(activation)
        image = (spec.in_chans, *spec.input_size)
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=FlattenExactly(image))
        seen = prod(image)
        for i, width in enumerate(widths, start=1):
            layers[f"affine{i}"] = nn.Linear(seen, pieces * width)
            if batch_norm:
                layers[f"norm{i}"] = nn.BatchNorm1d(pieces * width)
            layers[f"{'relu' if activation == 'relu' else 'act'}{i}"] = squash()
            if p:
                layers[f"dropout{i}"] = nn.Dropout(p)
            seen = width
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(seen, spec.num_classes)
        he(self, convolutions="fan_in", output=self.classifier, gain=GAINS[activation])

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores


def _two_layer(spec: NetSpec, *, hidden: int = 50, activation: str = "relu") -> MLP:
    return MLP(spec, hidden=hidden, activation=activation)


def _widths(hidden: int | Sequence[int]) -> tuple[int, ...]:
    expected = "hidden is the width of each hidden layer, whole numbers of at least 1"
    if not isinstance(hidden, Sequence) or not hidden:
        return (count(expected, hidden),)
    try:
        return tuple(count(expected, width) for width in hidden)
    except StriateError:
        raise StriateError(f"{expected}, got {hidden!r}") from None


NETS = {
    "two_layer": Entry(build=_two_layer, input_size=(32, 32), source="CS231n, assignment 1"),
    "mlp": Entry(build=MLP, input_size=(32, 32), source="CS231n, assignment 2"),
}
