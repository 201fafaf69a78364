"""The noises of a training run together: one map, one colour and some steps an image; a weighted list of views."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final, get_args

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.augment.noise import BLOCK_STRIDE, Framing, Noise, WindowNoise, Words
from striate.augment.scene import Draws, Scene
from striate.augment.view import View
from striate.errors import StriateError, given, unknown
from striate.plain import finite_numbers, whole

if TYPE_CHECKING:
    import torch

__all__ = ["Border", "Filter", "Policy"]

Filter: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
Border: TypeAlias = Literal["constant", "edge", "reflect"]

MIDDLE_GREY = 0.5  # what contrast pivots about where no training set has said better


@final
@dataclass(frozen=True)
class Policy:
    """Noises applied one after another to what evaluation sees; without any, that is what it stays.

    - `fill`: what stands beyond the image, a grey level from 0 to 255 or "mean" for the training set's mean colour.
      Black is what everybody's CIFAR recipe pads with, and the background of digits.
    - `filter`, `antialias`, `border`: how the one resampling reads the source (docs/design/augment.md)
    - `mean`: the training set's mean colour in 0..1, one number a channel; `striate train` fills it in

    Raises StriateError when two noises are of one kind (they would draw the same numbers), when a noise that chooses a
    rectangle does not come first, or when another field is not one of these.
    """

    noises: tuple[Noise, ...] = ()
    fill: int | Literal["mean"] = 0
    filter: Filter = "bilinear"
    antialias: bool = True
    border: Border = "constant"
    mean: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.noises, Iterable) or not all(isinstance(noise, Noise) for noise in self.noises):
            raise StriateError(f"Policy: noises is {self.noises!r}; give a list of noises")
        object.__setattr__(self, "noises", tuple(self.noises))
        if self.mean is not None:
            mean = finite_numbers(self.mean)
            if not mean:
                raise StriateError(
                    f"Policy: mean is {self.mean!r}; give one finite number a channel, in 0..1, or leave it out"
                )
            object.__setattr__(self, "mean", mean)
        streams = [noise.stream for noise in self.noises]
        for place, noise in enumerate(self.noises):
            name = type(noise).__name__
            if streams.count(noise.stream) > 1:
                raise StriateError(f"Policy: {name} is given twice; give each kind of noise once")
            if isinstance(noise, Framing) and place > 0:
                before = type(self.noises[place - 1]).__name__
                raise StriateError(f"Policy: {name} chooses the rectangle to look at; put it before {before}")
        if self.fill != "mean":
            level = whole(self.fill)
            if level is None or not 0 <= level <= 255:
                raise StriateError(f"Policy: fill is {given(self.fill)}; give a grey level from 0 to 255, or 'mean'")
            object.__setattr__(self, "fill", level)
        if not isinstance(self.antialias, bool):
            raise StriateError(f"Policy: antialias is {self.antialias!r}; give true or false")
        for name, allowed in (("filter", get_args(Filter)), ("border", get_args(Border))):
            if getattr(self, name) not in allowed:
                raise StriateError("Policy: " + unknown(name, str(getattr(self, name)), allowed))

    @property
    def only_windows(self) -> bool:
        """Whether windows of the resized image say all: nothing but crops by whole pixels and mirrors."""
        return all(isinstance(noise, WindowNoise) for noise in self.noises)

    @property
    def stepping(self) -> bool:
        """Whether some samples may take steps. What is normalised after them and what is normalised in the resampling
        differ in the last bit, so this and not what was drawn decides: a sample is the same in any company."""
        return any(noise.steps for noise in self.noises)

    def windows(
        self, seed: int, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32], out: tuple[int, int]
    ) -> NDArray[np.int32]:
        """What training looks at where `only_windows`: int32 [B, 3], rows of (top, left, flip).

        A row depends on its own sample, its image's size, the seed and the epoch: not on the batch it is drawn in.
        `samples` [B] are positions in the training set, `sizes` [B, 2] their bases' (height, width) in px.

        Raises StriateError when some noise is no window's.
        """
        windows = np.zeros((len(samples), 3), np.int32)
        windows[:, :2] = (sizes - np.array(out)) // 2  # the centre, rounded up and left
        for noise in self.noises:
            if not isinstance(noise, WindowNoise):
                raise StriateError(f"Policy: {type(noise).__name__} is more than a window; draw with `draws`")
            noise.window(windows, _words(noise, seed, epoch, samples), sizes, out)
        return windows

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
    ) -> Draws:
        """What the one resampling does to B samples.

        As `windows`, a sample's draws depend on itself, the seed and the epoch alone. `sizes` [B, 2] are the sources'
        (height, width) in px; `frames` [B, 3, 3] where evaluation looks (`Preprocess.frames`).
        """
        scene = Scene(sizes, frames, out, 255 * self._mean(channels))
        for noise in self.noises:
            taken = len(scene.steps)
            noise.draw(scene, _words(noise, seed, epoch, samples))
            if len(scene.steps) > taken and not noise.steps:
                raise StriateError(f"Policy: {type(noise).__name__} takes steps; say so in its class, `steps = True`")
        return scene.draws()

    def warp(
        self,
        images: "torch.Tensor",
        rows: "torch.Tensor",
        draws: Draws,
        scale: "torch.Tensor",
        shift: "torch.Tensor",
        fill: "torch.Tensor",
        out: tuple[int, int],
    ) -> "torch.Tensor":
        """float32 [B, C, h, w] from images uint8 [N, H, W, C] that lie on some device: `rows` [B] of them, resampled
        there, given the draws' steps, times scale plus shift."""
        import torch  # here and not above, as below

        from striate.augment.torch_warp import warp

        steps = self.stepping  # they work on bytes
        factor, offset = (torch.ones_like(scale), torch.zeros_like(shift)) if steps else (scale, shift)
        values = warp(
            images,
            draws,
            factor,
            offset,
            fill,
            out,
            filter=self.filter,
            antialias=self.antialias,
            border=self.border,
            rows=rows,
        )
        if steps:
            self.apply_steps(values, draws)
            values.mul_(scale[:, None, None]).add_(shift[:, None, None])
        return values

    def apply_steps(self, images: "torch.Tensor", draws: Draws) -> None:
        """Change images float32 [B, C, h, w] in bytes by the draws' steps, in place."""
        if draws.steps:
            import torch  # here and not above: looking at data should not wait for torch to load

            from striate.augment.steps import apply_steps

            mean = torch.from_numpy(255 * self._mean(images.shape[1]))
            apply_steps(images, draws.steps, mean)

    def views(self, out: tuple[int, int]) -> tuple[View, ...]:
        """What testing averages over for a net that reads `out` px: distinct views whose weights sum to 1.

        >>> from striate.augment import HorizontalFlip, RandomScaleCrop
        >>> len(Policy((RandomScaleCrop((256, 480)), HorizontalFlip())).views((224, 224)))  # ResNet's, He 2015, §3.4
        50
        """
        views: tuple[View, ...] = (View(),)
        for noise in self.noises:
            views = tuple(new for view in views for new in noise.views(view, out))
        weights: dict[tuple[int | None, tuple[float, float], bool], float] = {}
        for view in views:
            look = (view.short_side, view.place, view.flip)
            weights[look] = weights.get(look, 0.0) + view.weight
        return tuple(View(short_side=s, place=p, flip=f, weight=w) for (s, p, f), w in weights.items())

    def _mean(self, channels: int) -> NDArray[np.float64]:
        """[C] in 0..1."""
        if self.mean is None:
            return np.full(channels, MIDDLE_GREY)
        if len(self.mean) != channels:
            raise StriateError(f"Policy: its mean colour has {len(self.mean)} channel(s), the images have {channels}")
        return np.array(self.mean)


def _words(noise: Noise, seed: int, epoch: int, samples: NDArray[np.int64]) -> Words:
    """uint32 [B, 4 · blocks]."""
    blocks = [_native.philox(seed, epoch, samples, noise.stream + BLOCK_STRIDE * b) for b in range(noise.blocks)]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, 1)
