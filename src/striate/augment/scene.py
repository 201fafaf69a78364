"""What a policy has drawn so far for B samples, and what it has drawn in the end.

    source = frame · N₁ · N₂ · … · lens(output)          bytes = colour₂ · colour₁ · (R, G, B, 1)

Noises add to a scene in the order in which a person would apply them to the image: matrices of geometry, which map
output pixels back to the source, multiply from the right; colours from the left.
"""

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.augment.reduction import reductions

__all__ = ["Draws", "Matrices", "Scene", "Step"]

Matrices: TypeAlias = NDArray[np.float64]  # [B, 3, 3], or [3, 3] for all samples alike


@dataclass(frozen=True)
class Step:
    """What no matrix can do: `kind` names a function of `striate.augment.steps`, run on some rows of the batch.

    `rows` int64 [n]; `numbers` float64 [n, k], the function's parameters for each row.
    """

    kind: str
    rows: NDArray[np.int64]
    numbers: NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """Everything that one resampling of B samples needs.

    - `geometry` float64 [B, 3, 3]: output pixel (x, y, 1) to source pixel, homogeneous; centres lie at whole + ½
    - `lens` float64 [B, 2]: k1, k2 about the output's centre (Brown 1966); None where nothing is bent
    - `colour` float32 [B, C, C + 1]: byte units; None where no colour changes
    - `steps`, in order, after the colour and before normalisation
    """

    geometry: NDArray[np.float64]
    lens: NDArray[np.float64] | None
    colour: NDArray[np.float32] | None
    steps: tuple[Step, ...]

    def reductions(self, out: tuple[int, int]) -> NDArray[np.int64]:
        """int64 [B]: 1, 2, 4 or 8: a JPEG may be decoded at that fraction of its size, for an output of `out` px."""
        return reductions(self.geometry, self.lens, out)


@final
class Scene:
    """The samples' sizes int32 [B, 2], the evaluator's frames float64 [B, 3, 3], the output's size; and what is drawn.

    `mean` [C] is the training set's mean colour in bytes: contrast pivots about it.
    """

    def __init__(
        self,
        sizes: NDArray[np.int32],
        frames: NDArray[np.float64],
        out: tuple[int, int],
        mean: NDArray[np.float64],
    ) -> None:
        self.sizes = sizes
        self.frames = frames
        self.out = out
        self.mean = mean
        self.geometry = np.array(frames, np.float64)
        self.lens: NDArray[np.float64] | None = None
        self.colour: NDArray[np.float64] | None = None
        self.steps: list[Step] = []

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def base_sizes(self) -> NDArray[np.int64]:
        """int64 [B, 2]: the (height, width) of each sample's base, the resized image that evaluation's window is in."""
        scales = self.frames[:, (1, 0), (1, 0)]  # source px for one of the base, down and across
        return np.rint(self.sizes / scales).astype(np.int64)

    def frame(self, matrices: Matrices) -> None:
        """Look at the source through these in place of the evaluator's frame."""
        self.geometry = np.array(np.broadcast_to(matrices, (len(self), 3, 3)))

    def move(self, matrices: Matrices) -> None:
        """One more operation on the image, given backwards: output to output."""
        self.geometry = self.geometry @ matrices

    def move_rows(self, rows: NDArray[np.int64], matrices: NDArray[np.float64]) -> None:
        """The same for some samples only: `matrices` [n, 3, 3]."""
        self.geometry[rows] = self.geometry[rows] @ matrices

    def recolour_rows(self, rows: NDArray[np.int64], matrices: NDArray[np.float64]) -> None:
        """One more affine map of the colour of some samples: `matrices` [n, C, C + 1]."""
        whole = np.tile(np.eye(self.channels, self.channels + 1), (len(self), 1, 1))
        whole[rows] = matrices
        self.recolour(whole)

    def recolour(self, matrices: NDArray[np.float64]) -> None:
        """One more affine map of the colour, [B, C, C + 1] or [C, C + 1], in bytes."""
        count, channels = len(self), self.channels
        if self.colour is None:
            self.colour = np.array(np.broadcast_to(matrices, (count, channels, channels + 1)), np.float64)
            return
        linear, offset = matrices[..., :channels], matrices[..., channels:]
        turned = linear @ self.colour
        turned[..., channels:] += offset
        self.colour = turned

    def bend(self, terms: NDArray[np.float64]) -> None:
        """Bend by k1, k2 [B, 2], in place of what bent before: a picture is taken through one lens."""
        self.lens = np.array(terms, np.float64)

    def step(self, kind: str, rows: NDArray[np.int64], numbers: NDArray[np.float64]) -> None:
        """One more step on some rows."""
        if len(rows):
            self.steps.append(Step(kind, rows, numbers))

    def draws(self) -> Draws:
        colour = None if self.colour is None else self.colour.astype(np.float32)
        return Draws(self.geometry, self.lens, colour, tuple(self.steps))
