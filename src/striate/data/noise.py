"""What a loader asks of an augmentation; `striate.augment.Policy` keeps these protocols, and is never imported here."""

from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["DrawsMaps", "DrawsWindows", "Map"]


class DrawsWindows(Protocol):
    """Crops by whole pixels, and mirrors."""

    @property
    def fill(self) -> int | Literal["mean"]:
        """The grey level outside an image, or "mean" for the training set's mean colour."""

    def windows(
        self, seed: int, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32], out: tuple[int, int]
    ) -> NDArray[np.int32]:
        """int32 [B, 3], rows of (top, left, flip)."""


class Map(Protocol):
    """What was drawn for B samples: output px → source px, a lens, a colour, and steps (docs/design/augment.md)."""

    @property
    def geometry(self) -> NDArray[np.float64]: ...
    @property
    def lens(self) -> NDArray[np.float64] | None: ...
    @property
    def colour(self) -> NDArray[np.float32] | None: ...
    @property
    def steps(self) -> tuple[Any, ...]: ...
    def reductions(self, out: tuple[int, int]) -> NDArray[np.int64]:
        """[B]: at which fraction of its size, 1, 2, 4 or 8, a JPEG may be decoded."""


class DrawsMaps(DrawsWindows, Protocol):
    """Any noise. Where it is `only_windows`, the loader cuts windows from resized bases, which is exact and cheaper."""

    @property
    def only_windows(self) -> bool: ...
    @property
    def stepping(self) -> bool:
        """Whether some samples may take steps: then all of them are resampled to bytes, and normalised afterwards."""

    @property
    def filter(self) -> Literal["nearest", "bilinear", "bicubic"]: ...
    @property
    def antialias(self) -> bool: ...
    @property
    def border(self) -> Literal["constant", "edge", "reflect"]: ...

    def draws(
        self,
        seed: int,
        epoch: int,
        samples: NDArray[np.int64],
        sizes: NDArray[np.int32],
        out: tuple[int, int],
        frames: NDArray[np.float64],
        *,
        channels: int = 3,
    ) -> Any:
        """A `Map` of B samples, each a function of itself, the seed and the epoch."""

    def apply_steps(self, images: torch.Tensor, draws: Any) -> None:
        """Change images float32 [B, C, h, w] in bytes by the draws' steps, in place."""

    def warp(
        self,
        images: torch.Tensor,
        rows: torch.Tensor,
        draws: Any,
        scale: torch.Tensor,
        shift: torch.Tensor,
        fill: torch.Tensor,
        out: tuple[int, int],
    ) -> torch.Tensor:
        """float32 [B, C, h, w] from images uint8 [N, H, W, C] on some device: `rows` [B] of them by the draws, computed
        there."""
