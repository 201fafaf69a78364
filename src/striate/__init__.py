"""striate: ConvNets in practice.

From a folder of images to a trained, measured, explained and deployed ConvNet. Names are loaded when first used, so
that `import striate` and the command line's `--help` do not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Run",
    "StriateError",
    "accelerate",
    "check_gradients",
    "conv",
    "cost",
    "create_model",
    "data",
    "fit",
    "list_models",
    "load_model",
    "memory",
]

if TYPE_CHECKING:
    from striate import conv, data
    from striate.conv import accelerate
    from striate.errors import StriateError
    from striate.face import Run, fit
    from striate.nets import create_model, list_models
    from striate.nets.inspect import cost, memory
    from striate.nets.weights import load_model
    from striate.train.check import check_gradients

_HOME = {
    "Run": "striate.face",
    "fit": "striate.face",
    "StriateError": "striate.errors",
    "accelerate": "striate.conv",
    "check_gradients": "striate.train.check",
    "cost": "striate.nets.inspect",
    "create_model": "striate.nets",
    "list_models": "striate.nets",
    "load_model": "striate.nets.weights",
    "memory": "striate.nets.inspect",
}


def __getattr__(name: str) -> Any:
    if name in ("conv", "data"):
        return importlib.import_module(f"striate.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'striate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
