"""LeNet-5, the first ConvNet in service: cheques, 1998.

    32×32 → C1 6@5×5 → S2 2×2 → C3 16@5×5 → S4 2×2 → C5 120 → F6 84 → scores

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", §II.B. Modernised,
as everybody who trains it today does: every map of C3 sees all six maps of S2 (the paper's table I connects some),
pools have no weights of their own, the output is linear (the paper's has radial basis functions), ReLU for the scaled
tanh, and maximum for average. `activation="tanh", pool="avg"` goes back on the last two. In this form it has 61,706
parameters for grey images and ten classes (156 + 2,416 + 48,120 + 10,164 + 850).
"""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from striate.nets.activations import GAINS, activation_of, pieces_of
from striate.nets.fit import feature_shape
from striate.nets.flatten import FlattenExactly
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import choose

__all__ = ["NETS", "LeNet5"]

POOLS: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class LeNet5(Net):
    """x [N, in_chans, H, W] → features [N, 16, h, w] → scores; h = w = 5 for 32×32."""

    features: nn.Sequential
    stages = (
        Stage(name="features.s2", stride=2, channels=6),
        Stage(name="features.s4", stride=4, channels=16),
    )
    fixed_size = True

    def __init__(self, spec: NetSpec, *, activation: str = "relu", pool: str = "max") -> None:
        super().__init__(spec)
        squash, pieces = activation_of(activation), pieces_of(activation)
        subsample = choose("pool", pool, POOLS)
        self.features = nn.Sequential(
            OrderedDict(
                c1=nn.Conv2d(spec.in_chans, 6 * pieces, 5),
                act1=squash(),
                s2=subsample(2),
                c3=nn.Conv2d(6, 16 * pieces, 5),
                act3=squash(),
                s4=subsample(2),
            )
        )
        seen = feature_shape(self.features, spec.in_chans, spec.input_size)
        output = nn.Linear(84, spec.num_classes)
        self.classifier = nn.Sequential(
            OrderedDict(
                flatten=FlattenExactly(seen),
                c5=nn.Linear(prod(seen), 120 * pieces),
                act5=squash(),
                f6=nn.Linear(120, 84 * pieces),
                act6=squash(),
                output=output,
            )
        )
        he(self, convolutions="fan_in", output=output, gain=GAINS[activation])

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores


NETS = {
    "lenet5": Entry(build=LeNet5, input_size=(32, 32), source="LeCun 1998, §II.B, modernised"),
}
