"""Does the watch name what ails runs that no rule was made on? Other nets, sets, strengths and seeds than `sick.py`'s.

    python benchmarks/sick_held_out.py --data SHARED_DATA

The list was written down before any of its runs was made, and no rule was touched between: its first table is what
stands in `benchmarks/results/`. Whoever changes a rule because of a case here moves that case to `sick.py`.
"""

import sys

import numpy as np
import torch
from sick import CIFAR, DIGITS, FLAT, MLP, MNIST, SIGNS, Case, blank, buried, easy, few, main, scaled, shuffled, slow
from torch import nn

SEEDED = {"seed": 7}
DEEP = {"model": "mlp", "model_settings": {"hidden": [48] * 16}}


@torch.no_grad()
def infinite(net: nn.Module) -> None:
    """A bias that is infinite, in the last layer."""
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    last.bias[0] = torch.inf


def frozen_statistics(net: nn.Module) -> None:
    """Batch norms whose statistics are those of other images, and hardly follow."""
    rng = np.random.default_rng(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1e-4
            module.running_mean += torch.from_numpy(rng.normal(0, 0.5, len(module.running_mean))).float()


def case(name: str, right: str | tuple[str, ...], settings: dict[str, object], **rest: object) -> Case:
    rights = (right,) if isinstance(right, str) else right
    return Case(name=name, right=rights, settings=SEEDED | settings, **rest)  # type: ignore[arg-type]  # as Case has them


SICK = (
    case("LeNet-5 on MNIST at a rate of 1", "learning rate too high", MNIST | {"lr": 1.0, "epochs": 3}, data=few(3000)),
    case(
        "AdamW at a rate of 0.05 on hand signs",
        "learning rate too high",
        SIGNS | FLAT | {"model": "lenet5", "optimizer": "adamw", "lr": 0.05, "epochs": 6, "explosion": 0.0},
    ),
    case(
        "two layers on CIFAR-10 at a rate of 0.5",
        "learning rate too high",
        CIFAR | {"model": "two_layer", "pad": 0, "lr": 0.5, "epochs": 4},
        data=few(2000, 500),
    ),
    case(
        "AdamW at a rate of 1e-7 on MNIST",
        "learning rate too low",
        MNIST | FLAT | {"model": "two_layer", "pad": 0, "optimizer": "adamw", "lr": 1e-7, "epochs": 8},
        data=few(2000),
    ),
    case(
        "LeNet-5 on hand signs at 1e-5",
        "learning rate too low",
        SIGNS | FLAT | {"model": "lenet5", "lr": 1e-5, "epochs": 8},
    ),
    case(
        "three hidden units on CIFAR-10",
        "underfitting",
        CIFAR | {"model": "mlp", "model_settings": {"hidden": [3]}, "pad": 0, "epochs": 30},
        data=few(1500, 500),
    ),
    case(
        "150 digits of MNIST, a wide net, no noise",
        "overfitting",
        MNIST
        | FLAT
        | {
            "model": "mlp",
            "model_settings": {"hidden": [256]},
            "policy": "none",
            "lr": 0.05,
            "epochs": 60,
            "batch_size": 25,
        },
        data=few(150, 400),
    ),
    case(
        "300 of CIFAR-10, LeNet-5, no noise",
        "overfitting",
        CIFAR | FLAT | {"model": "lenet5", "policy": "none", "lr": 0.02, "epochs": 60, "batch_size": 20},
        data=few(300, 300),
    ),
    case(
        "three quarters of a layer buried, MNIST", "dead units", MNIST | {"epochs": 4}, data=few(2000), net=buried(0.75)
    ),
    case(
        "60 % of a hidden layer buried",
        "dead units",
        MLP | {"model_settings": {"hidden": [64, 64]}, "epochs": 12},
        net=buried(0.6),
    ),
    case(
        "sixteen layers, first weights 0.4 of He's",
        "vanishing gradients",
        DIGITS | FLAT | DEEP | {"size": 8, "pad": 0, "epochs": 6},
        net=scaled(0.4),
    ),
    case(
        "sixteen layers, first weights 2.5 times He's",
        "exploding gradients",
        DIGITS | FLAT | DEEP | {"size": 8, "pad": 0, "epochs": 6, "lr": 1e-3, "explosion": 0.0},
        net=scaled(2.5),
    ),
    case("a bias that is infinite", "not a number", MNIST | {"epochs": 2}, data=few(1000), net=infinite),
    case(
        "shuffled labels of hand signs",
        "labels do not fit the images",
        SIGNS | FLAT | {"model": "lenet5", "lr": 0.02, "epochs": 12},
        data=shuffled,
    ),
    case(
        "shuffled labels of MNIST, learnt by heart",
        "labels do not fit the images",
        MNIST
        | FLAT
        | {"model": "mlp", "model_settings": {"hidden": [512]}, "policy": "none", "lr": 0.05, "epochs": 80},
        data=lambda data: shuffled(few(600, 300)(data)),
    ),
    case(
        "black digits",
        "one answer for everything",
        MNIST | {"model": "two_layer", "pad": 0, "epochs": 6},
        data=lambda data: blank(few(1000)(data)),
    ),
    case(
        "dropout of 0.85 on MNIST",
        "validation better than training",
        MNIST
        | {"model": "mlp", "model_settings": {"hidden": [96], "dropout": 0.85}, "pad": 0, "epochs": 15, "lr": 0.02},
        data=few(2000),
    ),
    case(
        "half the training labels wrong, two layers",
        "validation better than training",
        DIGITS | {"model": "two_layer", "size": 8, "pad": 0, "epochs": 20},
        data=easy,
    ),
    case(
        "a rate that never falls, MNIST",
        "plateau",
        MNIST
        | FLAT
        | {"model": "mlp", "model_settings": {"hidden": [12]}, "pad": 0, "lr": 0.3, "epochs": 24, "batch_size": 16},
        data=few(2000),
    ),
    case(
        "norms with the statistics of other images",
        "batch norm drift",
        MNIST | {"model": "mlp", "model_settings": {"hidden": [64], "batch_norm": True}, "pad": 0, "epochs": 6},
        data=few(2000),
        net=frozen_statistics,
    ),
    case(
        "a disk that takes 2 ms an image, two readers",
        "waiting for data",
        DIGITS | {"model": "two_layer", "size": 8, "pad": 0, "epochs": 3, "workers": 2},
        data=slow(2e-3),
    ),
    case(
        "tanh, first weights fifteen times too large",
        "saturated units",
        MNIST | {"model_settings": {"activation": "tanh"}, "epochs": 5, "lr": 0.01},
        data=few(2000),
        net=scaled(15.0, last=False),
    ),
    case(
        "a decay of 1 on MNIST",
        ("decay too strong",),
        MNIST | FLAT | {"weight_decay": 1.0, "epochs": 6},
        data=few(2000),
    ),
)

HEALTHY = (
    case(
        "LeNet-5 on 2,000 of MNIST, AdamW", (), MNIST | {"optimizer": "adamw", "lr": 2e-3, "epochs": 6}, data=few(2000)
    ),
    case(
        "two layers on digits, plain SGD",
        (),
        DIGITS | FLAT | {"model": "two_layer", "size": 8, "pad": 0, "lr": 0.05, "epochs": 20},
    ),
    case("a wide hidden layer on digits", (), MLP | {"model_settings": {"hidden": [256]}, "epochs": 20}),
    case("ELU on digits", (), DIGITS | {"model_settings": {"activation": "elu"}, "epochs": 12}),
    case(
        "PReLU on 2,000 of MNIST", (), MNIST | {"model_settings": {"activation": "prelu"}, "epochs": 6}, data=few(2000)
    ),
    case(
        "three hidden layers with batch norm on MNIST",
        (),
        MNIST
        | {"model": "mlp", "model_settings": {"hidden": [128, 64, 32], "batch_norm": True}, "pad": 0, "epochs": 10},
        data=few(3000),
    ),
    case(
        "dropout of 0.3 on hand signs",
        (),
        SIGNS
        | {"model": "mlp", "model_settings": {"hidden": [128], "dropout": 0.3}, "pad": 0, "epochs": 25, "lr": 0.02},
    ),
    case("CutMix on 3,000 of MNIST", (), MNIST | {"cutmix": 1.0, "epochs": 10}, data=few(3000)),
    case(
        "ResNet-20 on 600 of MNIST, one cycle",
        (),
        MNIST | {"model": "resnet20", "schedule": "onecycle", "lr": 0.05, "epochs": 6, "batch_size": 32},
        data=few(600, 300),
    ),
    case(
        "LeNet-5 on 3,000 of CIFAR-10, mirrors",
        (),
        CIFAR | {"model": "lenet5", "pad": 4, "flip": True, "lr": 0.03, "epochs": 10},
        data=few(3000, 500),
    ),
    case("balanced sampling on digits", (), DIGITS | {"sampling": "balanced", "epochs": 12}),
)


if __name__ == "__main__":
    sys.exit(main(SICK, HEALTHY, __doc__))  # type: ignore[func-returns-value]  # None is success
