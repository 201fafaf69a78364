"""The views of images as tensors: an image decoded once, resized once a scale, every window cut natively.

    image ─ base at each scale ─ windows (those that coincide are one, with the sum of their weights) ─▶ Rows

A base is `Preprocess.base` at another size, hence Pillow's resize bit for bit, so a single view is to the bit what
training's validation saw. Windows coincide often: a square image at the scale of the window has one place for all five
crops, a photograph of 4:3 three. The average is the same, and fewer passes are made.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray

from striate import _native
from striate.augment.view import View
from striate.data import Preprocess
from striate.errors import StriateError

__all__ = ["Bases", "Looks", "Rows"]

Bases: TypeAlias = Mapping[int | None, NDArray[np.uint8]]  # by short side, px


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    """What a net is shown at once. Of each row: which image of the batch it shows, and its share of that image."""

    images: torch.Tensor  # float32 [R, C, h, w]
    owners: NDArray[np.int64]  # [R]
    weights: NDArray[np.float64]  # [R]; those of an owner sum to 1 over all of a batch's Rows


@final
class Looks:
    """`views` of images as `preprocess` feeds them; with `whole`, all of each base instead of windows of it."""

    def __init__(self, preprocess: Preprocess, views: Sequence[View], *, whole: bool = False) -> None:
        total = sum(view.weight for view in views)
        if not views or abs(total - 1) > 1e-9:
            raise StriateError(f"the weights of {len(views)} views sum to {total:.6g}; they are shares, and sum to 1")
        self._preprocess = preprocess
        self._views = tuple(views)
        self._whole = whole
        self._at = {view.short_side: at_scale(preprocess, view.short_side) for view in views}

    @property
    def channels(self) -> int:
        """Of the images that are asked for."""
        return self._preprocess.channels

    def bases(self, image: NDArray[np.uint8]) -> Bases:
        """uint8 [H, W, C] at every scale."""
        return {side: preprocess.base(image) for side, preprocess in self._at.items()}

    def rows(self, images: Sequence[Bases]) -> list[Rows]:
        """The views of a batch of images, by the size of what the net is shown."""
        sizes: dict[tuple[int, int], list[tuple[int, int | None, tuple[int, int, int], float]]] = {}
        for owner, bases in enumerate(images):
            for (side, *window), weight in self._windows(bases).items():
                size = bases[side].shape[:2] if self._whole else self._preprocess.size
                sizes.setdefault(size, []).append((owner, side, (window[0], window[1], window[2]), weight))
        return [self._cut(size, chosen, images) for size, chosen in sizes.items()]

    def _windows(self, bases: Bases) -> dict[tuple[int | None, int, int, int], float]:
        """Weights by (short side, top, left, flip), in the order of the views."""
        found: dict[tuple[int | None, int, int, int], float] = {}
        h, w = self._preprocess.size
        for view in self._views:
            height, width = bases[view.short_side].shape[:2]
            down, across = (0.0, 0.0) if self._whole else view.place
            key = (view.short_side, int(down * (height - h)), int(across * (width - w)), int(view.flip))
            found[key] = found.get(key, 0.0) + view.weight
        return found

    def _cut(
        self,
        size: tuple[int, int],
        chosen: Sequence[tuple[int, int | None, tuple[int, int, int], float]],
        images: Sequence[Bases],
    ) -> Rows:
        preprocess = self._preprocess
        out = torch.empty((len(chosen), preprocess.channels, *size), dtype=torch.float32, device="cpu")
        _native.batch_from_list(
            [images[owner][side] for owner, side, _, _ in chosen],
            np.array([window for _, _, window, _ in chosen], np.int32),
            np.zeros(preprocess.channels, np.uint8),  # never seen: a base covers its windows
            preprocess.scale,
            preprocess.shift,
            out.numpy(),
            1,  # other batches are made on the other threads
        )
        return Rows(
            images=preprocess.finished(out),
            owners=np.array([owner for owner, *_ in chosen], np.int64),
            weights=np.array([weight for *_, weight in chosen], np.float64),
        )


def at_scale(preprocess: Preprocess, short_side: int | None) -> Preprocess:
    """The same preprocessing of an image whose short side is `short_side` px; None leaves it as it is.

    For a window that is not square, what covers it is scaled, so that its shorter side has `short_side` px.

    Raises StriateError when the window does not fit.
    """
    if short_side is None:
        return preprocess
    shorter = min(preprocess.size)
    if short_side < shorter:
        raise StriateError(
            f"a view of {short_side} px is smaller than the {shorter} px that the net reads; give a larger scale"
        )
    height, width = ((2 * side * short_side + shorter) // (2 * shorter) for side in preprocess.size)  # halves up
    return dataclasses.replace(preprocess, resize_size=(height, width))
