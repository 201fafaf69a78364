"""Local response normalisation: a unit divided by what its neighbours answer.

    across maps:  b_i = a_i / (k + α' Σ_j a_j²)^β          j: the n maps around i, at the same pixel
    within maps:  b_p = a_p / (k + α' Σ_q a_q²)^β          q: the n×n pixels around p, in the same map

Krizhevsky 2012, §3.3 (its sum is inclusive and cut off at the first and the last map). The one thing that differs
between frameworks is what is written down as α:

    framework                            α'
    the paper, cuda-convnet 1, TensorFlow   α       `alpha_of="sum"`
    Caffe, torch, cuDNN, across              α / n   `alpha_of="mean"`
    Caffe, within                            α / n²  `alpha_of="mean"`, and k is always 1

So Krizhevsky's α = 1e-4 over n = 5 maps is written 5e-4 in torch; Caffe's AlexNet wrote 1e-4 with k = 1, and has
α' = 2e-5. Windows are cut off at borders: what lies outside is zero, and the divisor stays n or n².
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor, nn

from striate.errors import StriateError, unknown

__all__ = ["LocalResponseNorm", "krizhevsky_norm"]

ALPHA_OF: Mapping[str, bool] = MappingProxyType({"sum": False, "mean": True})
REGIONS: Mapping[str, int] = MappingProxyType({"across": 1, "within": 2})  # axes that the window spans


class LocalResponseNorm(nn.Module):
    """x [N, C, H, W] → the same shape; nothing is learnt.

    `size` is n, in maps (`region="across"`) or in px (`region="within"`). Raises StriateError for a size below 1, an
    even size within maps (it would have no middle), an unknown region or an unknown `alpha_of`.
    """

    def __init__(
        self,
        size: int,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        region: str = "across",
        alpha_of: str = "mean",
    ) -> None:
        super().__init__()
        for setting, given, known in (("region", region, list(REGIONS)), ("alpha_of", alpha_of, list(ALPHA_OF))):
            if given not in known:
                raise StriateError(unknown(setting, given, known))
        if size < 1 or (region == "within" and size % 2 == 0):
            odd = "an odd number of px" if region == "within" else "a number of maps"
            raise StriateError(f"local response norm {region} maps: size is {odd}, at least 1, got {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.region, self.alpha_of = region, alpha_of

    def forward(self, x: Tensor) -> Tensor:
        per_sum = 1 if ALPHA_OF[self.alpha_of] else self.size ** REGIONS[self.region]
        alpha = self.alpha * per_sum  # what multiplies the mean over a window
        if self.region == "across":
            return F.local_response_norm(x, self.size, alpha, self.beta, self.k)
        mean = F.avg_pool2d(x.square(), self.size, stride=1, padding=self.size // 2)
        return x / (self.k + alpha * mean) ** self.beta

    def extra_repr(self) -> str:
        return f"{self.size} {self.region}, alpha={self.alpha} of {self.alpha_of}, beta={self.beta}, k={self.k}"


def krizhevsky_norm() -> LocalResponseNorm:
    """Krizhevsky 2012, §3.3, as printed: k = 2, n = 5, α = 1e-4 of the sum, β = 0.75."""
    return LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0, alpha_of="sum")
