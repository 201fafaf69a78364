"""Random choices among many noises: RandAugment (Cubuk 2020) and TrivialAugment (Müller 2021).

Both draw operations by number, so a sample's operation is a row of a table. Geometry and colour are multiplied into the
sample's one map and one colour; the operations that no matrix can do run after these, whatever their place in the
draw (docs/design/augment.md).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.augment import colour, matrix
from striate.augment.checks import check_count
from striate.augment.draw import below, sign
from striate.augment.noise import Unbiased, Words
from striate.augment.scene import Scene

__all__ = ["RandAugment", "TrivialAugment"]

Rows: TypeAlias = NDArray[np.int64]
Numbers: TypeAlias = NDArray[np.float64]
Operation: TypeAlias = Callable[[Scene, Rows, Numbers, Numbers], None]  # scene, rows, strengths in 0..1, signs

BINS = 31  # strengths of both papers: 0, 1, … 30
LEVELS = BINS - 1


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """What strength 1 means. The defaults are RandAugment's, as torchvision has them."""

    shear: float = 0.3  # the tangent
    shift: float = 150 / 331  # of the width or height: the paper's 150 px at 331
    degrees: float = 30.0
    factor: float = 0.9  # brightness and its kin: 1 ± this
    bits: int = 4  # taken away by posterize


def _affine(scene: Scene, rows: Rows, angle: Numbers, shear_x: Numbers, shear_y: Numbers) -> None:
    one = np.ones(len(rows))
    height, width = scene.out
    scene.move_rows(rows, matrix.about(matrix.affine(angle, one, one, shear_x, shear_y), (width / 2, height / 2)))


def _operations(reach: _Reach) -> Mapping[str, Operation]:
    """The fourteen operations, in the order of both papers' tables."""

    def shear_x(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        _affine(scene, rows, 0 * signs, np.arctan(reach.shear * strength * signs), 0 * signs)

    def shear_y(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        _affine(scene, rows, 0 * signs, 0 * signs, np.arctan(reach.shear * strength * signs))

    def translate_x(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.move_rows(rows, matrix.shift(reach.shift * scene.out[1] * strength * signs, 0 * signs))

    def translate_y(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.move_rows(rows, matrix.shift(0 * signs, reach.shift * scene.out[0] * strength * signs))

    def rotate(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        _affine(scene, rows, math.radians(reach.degrees) * strength * signs, 0 * signs, 0 * signs)

    def brightness(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.recolour_rows(rows, colour.brightness(1 + reach.factor * strength * signs, scene.channels))

    def color(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.recolour_rows(rows, colour.saturation(1 + reach.factor * strength * signs, scene.channels))

    def contrast(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.recolour_rows(rows, colour.contrast(1 + reach.factor * strength * signs, scene.mean))

    def sharpness(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.step("sharpness", rows, (1 + reach.factor * strength * signs)[:, None])

    def posterize(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.step("posterize", rows, (8 - np.rint(reach.bits * strength))[:, None])

    def solarize(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        scene.step("solarize", rows, (255 * (1 - strength))[:, None])

    def step(kind: str) -> Operation:
        return lambda scene, rows, strength, signs: scene.step(kind, rows, np.empty((len(rows), 0)))

    def identity(scene: Scene, rows: Rows, strength: Numbers, signs: Numbers) -> None:
        """The image as it is."""

    return {
        "identity": identity,
        "shear_x": shear_x,
        "shear_y": shear_y,
        "translate_x": translate_x,
        "translate_y": translate_y,
        "rotate": rotate,
        "brightness": brightness,
        "color": color,
        "contrast": contrast,
        "sharpness": sharpness,
        "posterize": posterize,
        "solarize": solarize,
        "autocontrast": step("autocontrast"),
        "equalize": step("equalize"),
    }


RANDOM = _operations(_Reach())
WIDE = _operations(_Reach(shear=0.99, shift=32 / 224, degrees=135.0, factor=0.99, bits=6))  # Müller 2021, table 1


def _apply(scene: Scene, operations: Mapping[str, Operation], chosen: Rows, strength: Numbers, signs: Numbers) -> None:
    for number, operation in enumerate(operations.values()):
        rows = np.flatnonzero(chosen == number)
        if len(rows):
            operation(scene, rows, strength[rows], signs[rows])


@final
@dataclass(frozen=True)
class RandAugment(Unbiased):
    """`num_ops` operations of fourteen, each equally likely, all at strength `magnitude` of 30, with random signs.

    Raises StriateError when a number is out of its range.
    """

    num_ops: int = 2
    magnitude: int = 9
    stream: ClassVar[int] = 35
    blocks: ClassVar[int] = 2
    steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count(self, "num_ops", 1, 4)
        check_count(self, "magnitude", 0, LEVELS)

    def draw(self, scene: Scene, words: Words) -> None:
        strength = np.full(len(scene), self.magnitude / LEVELS)
        for turn in range(self.num_ops):
            chosen = below(words[:, 2 * turn], len(RANDOM))
            _apply(scene, RANDOM, chosen, strength, sign(words[:, 2 * turn + 1]))


@final
@dataclass(frozen=True)
class TrivialAugment(Unbiased):
    """One operation of fourteen, at one of 31 strengths, each equally likely, with a random sign: nothing to tune."""

    stream: ClassVar[int] = 36
    steps: ClassVar[bool] = True

    def draw(self, scene: Scene, words: Words) -> None:
        strength = below(words[:, 1], BINS) / LEVELS
        _apply(scene, WIDE, below(words[:, 0], len(WIDE)), strength, sign(words[:, 2]))
