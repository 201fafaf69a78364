"""What may follow the normalisation of channels: the mean image taken away, or all pixels decorrelated.

    mean-image   x − x̄                          x̄ the mean of every pixel and channel (Krizhevsky 2012)
    pca          D (V ᵀ(x − x̄))                 rotated onto the axes of greatest variance, each scaled to one
    zca          V D V ᵀ(x − x̄)                 the same, turned back: pictures that are still pictures (Bell 1997)

V and λ are the eigenvectors and eigenvalues of the covariance of the training images, D = 1 / √(λ + ε). ε keeps the
directions in which images hardly vary, and which are noise, from being blown up; values are in deviations of a channel,
of which ε is a tenth (Coates 2011 takes the same). `pca` gives a vector in the order of the eigenvalues, laid out as an
image only because nets take images: for fully connected nets.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError, unknown

if TYPE_CHECKING:
    import torch

    from striate.data.preprocess import Preprocess
    from striate.data.samples import Samples

__all__ = ["KINDS", "Kind", "Whitening"]

Kind: TypeAlias = Literal["mean-image", "pca", "zca"]
KINDS: tuple[Kind, ...] = ("mean-image", "pca", "zca")

EPSILON = 0.1
MOST_VALUES = 3072  # an image, for pca and zca: 32×32×3; the matrix of that has 38 MB and goes into the model file
MOST_IMAGES = 20_000  # looked at, evenly spread: six for each of those values


@dataclass(frozen=True, kw_only=True, eq=False)
class Whitening:
    """A shift, and for pca and zca a matrix, of images [C, h, w] flattened; fitted to images of this shape alone."""

    kind: Kind
    shape: tuple[int, int, int]
    mean: NDArray[np.float32]  # [D]
    matrix: NDArray[np.float32] | None = None  # [D, D], out = matrix @ (x − mean)

    def __post_init__(self) -> None:
        values = int(np.prod(self.shape))
        if self.kind not in KINDS:
            raise StriateError("preprocess: " + unknown("whitening", str(self.kind), KINDS))
        if self.mean.shape != (values,) or (self.matrix is None) != (self.kind == "mean-image"):
            raise StriateError(f"preprocess: {self.kind} of {self.shape} images has a mean of {self.mean.shape}")
        if self.matrix is not None and self.matrix.shape != (values, values):
            raise StriateError(f"preprocess: {self.kind} of {self.shape} images has a matrix of {self.matrix.shape}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Whitening) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.shape, self.mean.tobytes()))

    def apply(self, images: "torch.Tensor") -> "torch.Tensor":
        """float32 [B, C, h, w], normalised → the same shape, on the same device; a new tensor.

        Raises StriateError for images of another size: there is no mean for their pixels.
        """
        if tuple(images.shape[1:]) != self.shape:
            given, known = ("×".join(map(str, s)) for s in (images.shape[1:], self.shape))
            raise StriateError(
                f"{self.kind} preprocessing was fitted to {known} images, and these are {given}; "
                f"leave out views of other sizes"
            )
        import torch

        mean, matrix = (
            None if t is None else t.to(images.device, non_blocking=True) for t in (self._mean, self._matrix)
        )
        assert mean is not None
        layout = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else None
        flat = images.flatten(1) - mean
        done = (flat if matrix is None else flat @ matrix.mT).view(images.shape)
        return done.contiguous(memory_format=layout) if layout is not None else done

    @cached_property
    def _mean(self) -> "torch.Tensor":
        import torch

        return torch.from_numpy(self.mean)

    @cached_property
    def _matrix(self) -> "torch.Tensor | None":
        import torch

        return None if self.matrix is None else torch.from_numpy(self.matrix)

    @classmethod
    def fit(
        cls, kind: Kind, samples: "Samples", preprocess: "Preprocess", *, epsilon: float = EPSILON, workers: int = 2
    ) -> "Whitening":
        """Of the training images, seen as evaluation sees them and with their channels normalised.

        Raises StriateError for a kind that is not known, and for images too large for a matrix.
        """
        if kind not in KINDS:
            raise StriateError("preprocess: " + unknown("whitening", str(kind), KINDS))
        shape = (preprocess.channels, *preprocess.size)
        values = int(np.prod(shape))
        if kind != "mean-image" and values > MOST_VALUES:
            side = int((MOST_VALUES / preprocess.channels) ** 0.5)
            raise StriateError(
                f"{kind} of {'×'.join(map(str, shape))} images needs a matrix of {values}×{values}; use images of at "
                f"most {side}×{side} (--size {side}), or mean-image"
            )
        from striate.data.loader import Loader

        count = min(len(samples), MOST_IMAGES)
        chosen = np.arange(count, dtype=np.int64) * len(samples) // count
        total, products = np.zeros(values), np.zeros((values, values) if kind != "mean-image" else (0, 0))
        loader = Loader(samples.subset(chosen), preprocess, batch_size=min(count, 512), workers=workers)
        for batch in loader.epoch(0):
            rows = batch.images.flatten(1).numpy().astype(np.float64)
            total += rows.sum(0)
            if kind != "mean-image":
                products += rows.T @ rows
        mean = total / count
        matrix = None
        if kind != "mean-image":
            spread, axes = np.linalg.eigh(products / count - np.outer(mean, mean))
            scale = 1 / np.sqrt(np.maximum(spread, 0) + epsilon)
            rotated = scale[::-1, None] * axes.T[::-1]  # the greatest variance first
            # in rows, as a file brings it back: a product's rounding depends on the order in memory
            matrix = np.ascontiguousarray(rotated if kind == "pca" else (axes * scale) @ axes.T, dtype=np.float32)
        return cls(kind=kind, shape=shape, mean=mean.astype(np.float32), matrix=matrix)

    def to_dict(self) -> dict[str, Any]:
        """As JSON knows it: arrays are float32, little-endian, in base64."""
        arrays = {"mean": self.mean, "matrix": self.matrix}
        coded = {name: _coded(array) for name, array in arrays.items() if array is not None}
        return {"kind": self.kind, "shape": list(self.shape), **coded}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Whitening":
        """The inverse of `to_dict`. Raises StriateError for what is none."""
        try:
            channels, height, width = (int(side) for side in given["shape"])
            values = channels * height * width
            matrix = _decoded(given["matrix"]).reshape(values, values) if "matrix" in given else None
            mean, kind = _decoded(given["mean"]), given["kind"]
        except (KeyError, TypeError, ValueError) as error:
            raise StriateError(f"preprocess: the whitening cannot be read ({error}); use another copy") from error
        return cls(kind=kind, shape=(channels, height, width), mean=mean, matrix=matrix)


def _coded(array: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode("ascii")


def _decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
