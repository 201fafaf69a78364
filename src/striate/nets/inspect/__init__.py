"""What a module costs and sees, before a byte of it is allocated.

`cost` walks any module once on the meta device (`record` to a `graph`) and reads it: `count` multiplies, `seen` and
`follow` carry receptive fields along. `weightless` builds a net without its weights.
"""

from striate.nets.inspect.cost import VIEWS, CostRow, ModuleCost, UnknownOperator, cost
from striate.nets.inspect.weightless import weightless

__all__ = ["VIEWS", "CostRow", "ModuleCost", "UnknownOperator", "cost", "weightless"]
