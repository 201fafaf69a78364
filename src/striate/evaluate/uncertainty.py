"""How sure a net is, and how much of its doubt more data could remove.

    total     H[p̄],  p̄ = mean of p_s over draws s         predictive entropy
    of it     H[p̄] − mean of H[p_s]                       mutual information between the answer and the draw

The second is what the draws (dropout samples, members of an ensemble) disagree about: large where the net has seen too
little, and nothing where the image itself is ambiguous. Houlsby et al. 2011, "Bayesian active learning for
classification and preference learning" (BALD), eq. 2; Gal and Ghahramani 2016. In nats.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Uncertainty", "entropy"]


def entropy(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """−Σ p log p over the last axis, nats; 0 log 0 is 0.

    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(4).tolist()
    [0.0, 0.6931]
    """
    p = np.asarray(probabilities, np.float64)
    found: NDArray[np.float64] = -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)
    return np.maximum(found, 0.0)  # a p of 1 + 10⁻¹⁶ gives less


@dataclasses.dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """Of every image, float64 [N], nats."""

    entropy: NDArray[np.float64]
    mutual_information: NDArray[np.float64]

    @classmethod
    def of(cls, mean: NDArray[Any], entropy_of_draws: NDArray[np.float64]) -> "Uncertainty":
        """From p̄ [N, K] and the draws' mean entropy [N]."""
        total = entropy(mean)
        return cls(entropy=total, mutual_information=np.maximum(total - entropy_of_draws, 0.0))
