"""Which net? A net by name, what it looks like layer by layer, and files with trained ones (`nets.weights`)."""

from striate.arithmetic import DoesNotFit
from striate.nets.create import create_model
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.registry import ModelInfo, list_models, model_info
from striate.nets.table import LayerRow, layer_table

__all__ = [
    "DoesNotFit",
    "LayerRow",
    "ModelInfo",
    "Net",
    "NetSpec",
    "Stage",
    "create_model",
    "layer_table",
    "list_models",
    "model_info",
]
