"""What does a layer cost and see? Standard library only: no arrays, no torch.

`window` answers for one axis (output size, what does not fit and why); `cost` answers for a layer (parameters and
multiply-adds).
"""

from striate.arithmetic.cost import Cost, conv, linear, pool
from striate.arithmetic.window import DoesNotFit, Window

__all__ = ["Cost", "DoesNotFit", "Window", "conv", "linear", "pool"]
