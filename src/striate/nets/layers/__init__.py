"""Layers that torch does not have, each a file: what it computes, where it was published, what is tested.

>>> from striate.nets.layers import LocallyConnected2d
>>> LocallyConnected2d(3, 8, 3, input_size=(6, 6)).weight.shape   # 4×4 positions, 8 filters each, 27 values a patch
torch.Size([16, 8, 27])
"""

from striate.nets.layers.coordinates import CoordinateLinear, grid_coordinates
from striate.nets.layers.drop_connect import DropConnect
from striate.nets.layers.drop_path import DropPath, linear_decay
from striate.nets.layers.dropout import Dropout
from striate.nets.layers.local_response_norm import LocalResponseNorm, krizhevsky_norm
from striate.nets.layers.locally_connected import LocallyConnected2d
from striate.nets.layers.maxout import Maxout
from striate.nets.layers.swapout import Swapout

__all__ = [
    "CoordinateLinear",
    "DropConnect",
    "DropPath",
    "Dropout",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "Maxout",
    "Swapout",
    "grid_coordinates",
    "krizhevsky_norm",
    "linear_decay",
]
