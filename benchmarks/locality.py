"""Does local connectivity emerge when far weights cost something? (LECTURES C8, the "project idea" of UMass 2024)

Two hidden layers of units with places look at scikit-learn's 8×8 digits, all of them at every pixel. One is charged
Σ |W| d² for what it weighs at a distance d, the other is not. Printed: the share of Σ |W| within 2 px before and after
training, and the accuracy on the quarter that was held out.

    python benchmarks/locality.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from striate.nets.layers import CoordinateLinear

EPOCHS, BATCH, RADIUS = 30, 50, 2.0


def main() -> None:
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
    y = torch.tensor(digits.target)
    test = torch.arange(len(x)) % 4 == 0
    print(f"{'strength':>9} {'within 2 px, before':>20} {'after':>7} {'accuracy':>9}")
    for strength in (0.0, 1e-5, 1e-4, 1e-3):
        torch.manual_seed(0)
        layer = CoordinateLinear((8, 8), (4, 4), maps=8)
        net = nn.Sequential(layer, nn.ReLU(), nn.Linear(8 * 16, 10))
        before = layer.mass_within(RADIUS)
        train(net, layer, x[~test], y[~test], strength)
        with torch.no_grad():
            accuracy = float((net(x[test]).argmax(1) == y[test]).float().mean())
        print(f"{strength:>9g} {before:>20.1%} {layer.mass_within(RADIUS):>7.1%} {accuracy:>9.1%}")


def train(net: nn.Module, layer: CoordinateLinear, x: torch.Tensor, y: torch.Tensor, strength: float) -> None:
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            loss = F.cross_entropy(net(x[batch]), y[batch]) + strength * layer.penalty()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


if __name__ == "__main__":
    main()
