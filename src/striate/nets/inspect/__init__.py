"""What a module costs and sees, and the memory it takes, before a byte of it is allocated.

`cost` walks any module once on the meta device (`record` to a `graph`) and reads it: `count` multiplies, `seen` and
`follow` carry receptive fields along. `memory` follows storages from birth to death.
"""

from striate.nets.inspect.costs import NOT_USED, VIEWS, CostRow, ModuleCost, UnknownOperator, cost
from striate.nets.inspect.peak import MOST_IMAGES, PRECISIONS, Memory, largest_batch, memory

__all__ = [
    "MOST_IMAGES",
    "NOT_USED",
    "PRECISIONS",
    "VIEWS",
    "CostRow",
    "Memory",
    "ModuleCost",
    "UnknownOperator",
    "cost",
    "largest_batch",
    "memory",
]
