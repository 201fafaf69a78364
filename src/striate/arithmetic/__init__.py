"""What does a layer cost and see? Standard library only: no arrays, no torch.

`window` and `transposed` answer for one axis (output size, what does not fit and why); `receptive` for what a unit sees
along one axis; `cost` for a layer (parameters and multiply-adds); `memory` for bytes.
"""

from striate.arithmetic.cost import Cost, attention, conv, conv_transposed, linear, matmul, pool, recurrent
from striate.arithmetic.memory import NBYTES, OPTIMIZER_COPIES, Standing, nbytes_of, parse_nbytes
from striate.arithmetic.receptive import PIXEL, Field, hull
from striate.arithmetic.transposed import TransposedWindow
from striate.arithmetic.window import DoesNotFit, Window

__all__ = [
    "NBYTES",
    "OPTIMIZER_COPIES",
    "PIXEL",
    "Cost",
    "DoesNotFit",
    "Field",
    "Standing",
    "TransposedWindow",
    "Window",
    "attention",
    "conv",
    "conv_transposed",
    "hull",
    "linear",
    "matmul",
    "nbytes_of",
    "parse_nbytes",
    "pool",
    "recurrent",
]
