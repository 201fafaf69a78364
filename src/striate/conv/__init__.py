"""How a convolution is computed: the Python face of the native core.

>>> import torch
>>> from striate.conv import conv2d
>>> conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3), algorithm="winograd4").shape
torch.Size([1, 1, 2, 2])
"""

from striate.conv.acceleration import Acceleration, accelerate
from striate.conv.choose import best_algorithm
from striate.conv.explanation import Explanation, explain
from striate.conv.functional import conv1d, conv2d, conv3d
from striate.conv.module import Conv2d
from striate.conv.plans import Plan, algorithms, from_blocked, plan, refusal, to_blocked
from striate.conv.shape import ConvShape, WrongShape

__all__ = [
    "Acceleration",
    "Conv2d",
    "ConvShape",
    "Explanation",
    "Plan",
    "WrongShape",
    "accelerate",
    "algorithms",
    "best_algorithm",
    "conv1d",
    "conv2d",
    "conv3d",
    "explain",
    "from_blocked",
    "plan",
    "refusal",
    "to_blocked",
]
