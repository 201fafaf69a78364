"""What a policy has drawn so far for B samples, and what it has drawn in the end.

    source = frame · N₁ · N₂ · … · lens(output)          bytes = colour₂ · colour₁ · (R, G, B, 1)

Noises add to a scene in the order in which a person would apply them to the image: matrices of geometry, which map
output pixels back to the source, multiply from the right; colours from the left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.augment import matrix, radial
from striate.augment.reduction import reductions

__all__ = ["Draws", "Matrices", "Scene", "Step", "Tilted"]

Matrices: TypeAlias = NDArray[np.float64]  # [B, 3, 3], or [3, 3] for all samples alike
Tilted: TypeAlias = Callable[[NDArray[np.int64], float], Matrices]  # rows [n], share of the tilt in 0..1 → [n, 3, 3]

LEAST_DEPTH = 1 / 32  # share of that at the output's centre: a corner may show what is 32 times as far, and no more
HALVINGS = 64  # of a tilt: after these it is nothing, whatever the scale of what follows it


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

    `mean` [C] is the training set's mean colour in bytes: contrast pivots about it. `mirrored` bool [B, 2]: whether the
    image has been turned over, down and across.
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
        self.mirrored = np.zeros((len(sizes), 2), np.bool_)
        self._framed = False
        self._tilt: _Tilt | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def base_sizes(self) -> NDArray[np.int64]:
        """int64 [B, 2]: the (height, width) of each sample's base, the resized image that the output is a window of:
        evaluation's, or the output itself where a noise has chosen a rectangle to fill it."""
        if self._framed:
            return np.tile(np.array(self.out, np.int64), (len(self), 1))
        scales = self.frames[:, (1, 0), (1, 0)]  # source px for one of the base, down and across
        return np.rint(self.sizes / scales).astype(np.int64)

    def frame(self, matrices: Matrices) -> None:
        """Look at the source through these in place of the evaluator's frame."""
        self.geometry = np.array(np.broadcast_to(matrices, (len(self), 3, 3)))
        self._framed = True

    def mirror(self, chosen: NDArray[np.bool_], *, axis: int = 0) -> None:
        """Turn the chosen samples over: left to right, or upside down for axis 1."""
        self.move(matrix.mirror(chosen, self.out[1 - axis], axis=axis))
        self.mirrored[:, 1 - axis] ^= chosen

    def move(self, matrices: Matrices) -> None:
        """One more operation on the image, given backwards: output to output."""
        self.geometry = self.geometry @ matrices
        if self._tilt is not None:
            self._tilt = self._tilt._replace(after=self._tilt.after @ matrices)

    def move_rows(self, rows: NDArray[np.int64], matrices: NDArray[np.float64]) -> None:
        """The same for some samples only: `matrices` [n, 3, 3]."""
        self.geometry[rows] = self.geometry[rows] @ matrices
        if self._tilt is not None:
            self._tilt.after[rows] = self._tilt.after[rows] @ matrices

    def tilt(self, tilted: Tilted) -> None:
        """The same for a perspective, which has a horizon: beyond it there is nothing to show.

        What else is drawn, before and after, may bring the horizon into the output. In the end each sample of which
        that is so is given the largest of 1/2, 1/4, … of its tilt that keeps it out: a function of the sample's own
        draws, so that it is the same in any company.
        """
        rows = np.arange(len(self))
        self._tilt = _Tilt(tilted, self.geometry, np.tile(np.eye(3), (len(self), 1, 1)))
        self.geometry = self.geometry @ tilted(rows, 1.0)

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
        self._keep_the_horizon_out()
        colour = None if self.colour is None else self.colour.astype(np.float32)
        return Draws(self.geometry, self.lens, colour, tuple(self.steps))

    def _keep_the_horizon_out(self) -> None:
        if self._tilt is None:
            return
        tilted, before, after = self._tilt
        rows, share = np.arange(len(self)), 1.0
        for _ in range(HALVINGS):
            lens = None if self.lens is None else self.lens[rows]
            rows = rows[~_before_the_horizon(self.geometry[rows], lens, self.out)]
            if not len(rows):
                return
            share /= 2
            self.geometry[rows] = before[rows] @ tilted(rows, share) @ after[rows]
        self.geometry[rows] = before[rows] @ after[rows]


class _Tilt(NamedTuple):
    """geometry = before · tilted(rows, 1) · after"""

    tilted: Tilted
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def _before_the_horizon(
    geometry: NDArray[np.float64], lens: NDArray[np.float64] | None, out: tuple[int, int]
) -> NDArray[np.bool_]:
    """bool [n]: whether the depth, the last row times (x, y, 1), is LEAST_DEPTH of the centre's or more everywhere.

    It is linear, so least in a corner, which a lens moves along its radius: by at most its largest factor.
    """
    x, y = out[1] / 2, out[0] / 2
    centre = geometry[:, 2] @ np.array([x, y, 1.0])
    spread = np.abs(geometry[:, 2, :2]) @ np.array([x, y])
    if lens is not None:
        radii = np.linspace(0, 1, 101)  # a lens's largest factor may lie between; it is smooth, and LEAST_DEPTH is room
        spread = spread * np.maximum(1, np.abs(radial.factor(radii**2, lens[:, :1], lens[:, 1:])).max(1))
    return np.asarray(centre - spread >= LEAST_DEPTH * np.abs(centre))
