"""The same map from cheaper layers: stacks of 3×3, 1×N with N×1, bottlenecks, linear layers that slide.

Each rewriter takes one layer and gives what stands in for it; `replace` puts it into a copy of a net; `suggest` says
what each would save.
"""

from striate.nets.rewrite.factor import Factored, as_asymmetric, as_bottleneck
from striate.nets.rewrite.replace import replace
from striate.nets.rewrite.slide import as_convolution, fully_convolutional
from striate.nets.rewrite.stack import as_3x3_stack
from striate.nets.rewrite.suggest import Suggestion, suggest

__all__ = [
    "Factored",
    "Suggestion",
    "as_3x3_stack",
    "as_asymmetric",
    "as_bottleneck",
    "as_convolution",
    "fully_convolutional",
    "replace",
    "suggest",
]
