"""Turn, shift, scale, stretch, shear and tilt: the geometric noises besides crops and mirrors (LECTURES A4).

Each is one matrix about the output's centre, multiplied into the one map; where it reaches beyond the image, the
policy's border stands.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from striate.augment import matrix
from striate.augment.checks import check_at_least, check_probability, check_range
from striate.augment.draw import chance, log_uniform, uniform
from striate.augment.noise import Unbiased, Words
from striate.augment.scene import Scene
from striate.errors import StriateError
from striate.plain import finite_numbers

__all__ = ["Affine", "Lens", "Perspective"]

STEEPEST = 89.0  # degrees of shear, and of the two together: tan a · tan b is 1 where a + b is 90


@final
@dataclass(frozen=True)
class Affine(Unbiased):
    """Rotation, translation, scale, stretch and shear, each uniform in its range (scale and stretch log-uniform).

    - `degrees`: anticlockwise on the screen; `shear` and `shear_y`: degrees, along x and along y, below 90 together
    - `translate`: at most these shares (across, down) of the output's width and height
    - `scale`: 2 doubles the size; `stretch`: 2 doubles width over height, the area kept

    Raises StriateError when a range is none.
    """

    degrees: tuple[float, float] = (0.0, 0.0)
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: tuple[float, float] = (1.0, 1.0)
    shear: tuple[float, float] = (0.0, 0.0)
    shear_y: tuple[float, float] = (0.0, 0.0)
    stream: ClassVar[int] = 21
    blocks: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_range(self, "degrees")
        check_range(self, "shear", -STEEPEST, STEEPEST)
        check_range(self, "shear_y", -STEEPEST, STEEPEST)
        most = max(self.shear[1] + self.shear_y[1], -self.shear[0] - self.shear_y[0])
        if most > STEEPEST:  # at 90 both axes lie on one line, and beyond it the picture is mirrored
            raise StriateError(
                f"Affine: shear {self.shear!r} and shear_y {self.shear_y!r} together reach {most:g} degrees, "
                f"and at 90 the picture is a line; keep their sum within {-STEEPEST:g} to {STEEPEST:g}"
            )
        check_range(self, "scale", 1e-3, 1e3)
        check_range(self, "stretch", 1e-3, 1e3)
        shares = finite_numbers(self.translate)
        if shares is None or len(shares) != 2 or not all(0 <= share <= 1 for share in shares):
            raise StriateError(f"Affine: translate is {self.translate!r}; give shares (across, down), each from 0 to 1")
        object.__setattr__(self, "translate", shares)

    def draw(self, scene: Scene, words: Words) -> None:
        height, width = scene.out
        radians = math.pi / 180
        matrices = matrix.affine(
            uniform(words[:, 0], *self.degrees) * radians,
            log_uniform(words[:, 1], *self.scale),
            log_uniform(words[:, 2], *self.stretch),
            uniform(words[:, 3], *self.shear) * radians,
            uniform(words[:, 4], *self.shear_y) * radians,
        )
        x = uniform(words[:, 5], -self.translate[0], self.translate[0]) * width
        y = uniform(words[:, 6], -self.translate[1], self.translate[1]) * height
        scene.move(matrix.about(matrices, (width / 2, height / 2)) @ matrix.shift(-x, -y))


@final
@dataclass(frozen=True)
class Perspective(Unbiased):
    """With probability `p`, each corner moves inwards, by up to `distortion` of half the sides (torchvision's law).

    Where the horizon would come into the output, the corners move half as far, or a quarter, … (`Scene.tilt`).

    Raises StriateError when a number is out of its range.
    """

    distortion: float = 0.5
    p: float = 0.5
    stream: ClassVar[int] = 22
    blocks: ClassVar[int] = 3

    def __post_init__(self) -> None:
        check_at_least(self, "distortion", 0.0, most=0.99)  # at 1 three corners could stand in a line
        check_probability(self, "p")

    def draw(self, scene: Scene, words: Words) -> None:
        height, width = scene.out
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
        inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], np.float64)
        reach = self.distortion * np.array([width, height]) / 2
        steps = inwards * reach * uniform(words[:, :8], 0.0, 1.0).reshape(-1, 4, 2)
        chosen = chance(words[:, 8], self.p)

        def tilted(rows: NDArray[np.int64], share: float) -> NDArray[np.float64]:
            moved = corners + share * steps[rows]
            matrices = matrix.homography(moved, np.broadcast_to(corners, moved.shape))
            matrices[~chosen[rows]] = np.eye(3)
            return matrices

        scene.tilt(tilted)


@final
@dataclass(frozen=True)
class Lens(Unbiased):
    """Radial distortion, k1 and k2 uniform in their ranges (Brown 1966), about the output's centre.

    Radii count in halves of the output's diagonal: a corner comes from 1 + k1 + k2 times its distance. Positive terms
    show more of the picture towards the corners (a barrel), negative ones less (a pincushion).

    Raises StriateError when a range is none, or so negative that the picture folds over itself inside the output.
    """

    k1: tuple[float, float] = (-0.2, 0.2)
    k2: tuple[float, float] = (0.0, 0.0)
    stream: ClassVar[int] = 23

    def __post_init__(self) -> None:
        check_range(self, "k1", -10.0, 10.0)
        check_range(self, "k2", -10.0, 10.0)
        squares = np.linspace(0, 1, 101)  # of the radius; it must grow: d/dr of r (1 + k1 r² + k2 r⁴) above 0
        if (1 + 3 * self.k1[0] * squares + 5 * self.k2[0] * squares**2).min() <= 0:
            raise StriateError(
                f"Lens: k1 from {self.k1[0]:g} and k2 from {self.k2[0]:g} fold the picture over itself; "
                f"keep 1 + 3 k1 r² + 5 k2 r⁴ above 0 for every r up to 1"
            )

    def draw(self, scene: Scene, words: Words) -> None:
        scene.bend(np.stack([uniform(words[:, 0], *self.k1), uniform(words[:, 1], *self.k2)], 1))
