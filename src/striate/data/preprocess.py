"""From a decoded image to the tensor a net reads: resize, window, normalise.

    image ─ base ─▶ uint8, at least h×w ─ window ─▶ h×w ─ (px / 255 − mean) / std ─▶ float32

Training, evaluation and prediction share this one object, and it travels inside the model file, so the three cannot
disagree. `base` depends on the image alone; the window is the centre unless a policy draws another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final, get_args

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.data.samples import Samples
from striate.data.sums import Sum, summed
from striate.data.whitening import Whitening
from striate.errors import StriateError, given, unknown
from striate.plain import finite_numbers, whole

if TYPE_CHECKING:
    import torch

__all__ = ["Filter", "Preprocess", "Resize", "WindowSums", "centre_windows"]

Resize: TypeAlias = Literal["crop", "squash"]
Filter: TypeAlias = Literal["box", "bilinear", "bicubic", "lanczos"]

GREY_LEVEL = 1 / 255  # one step of a byte, in units of 0..1
LONGEST = 8  # times the window: what a strip of an image may keep of its long side, so that 1×100,000 px fits in memory


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """How any image becomes a tensor of [channels, *size].

    `size` is (h, w) in px. `resize` "crop" scales the image, keeping its aspect, until it just covers h×w ("squash"
    scales each side on its own); `filter` is Pillow's antialiased filter of that name. Nets whose weights were
    published for the middle of a larger image say so with `resize_size`, which is then what is covered: (256, 256)
    with a `size` of (224, 224) for most of ImageNet's. `mean` and `std` are per channel in units of 0..1, where a byte
    of 255 is 1. `whitening` is what follows: the mean image, or decorrelated pixels (`striate.data.whitening`).

    Raises StriateError when a field is not one of these.
    """

    channels: int
    size: tuple[int, int]
    resize: Resize = "crop"
    resize_size: tuple[int, int] | None = None
    filter: Filter = "bilinear"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    whitening: Whitening | None = None

    def __post_init__(self) -> None:
        if (channels := whole(self.channels)) not in (1, 3):
            raise StriateError(f"preprocess: channels is {given(self.channels)}; give 1 (grey) or 3 (RGB)")
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "size", _sides("size", self.size))
        if self.resize_size is not None:
            object.__setattr__(self, "resize_size", _sides("resize_size", self.resize_size))
            if any(whole < window for whole, window in zip(self.resize_size, self.size, strict=True)):
                raise StriateError(
                    f"preprocess: resize_size {self.resize_size} is smaller than size {self.size}, which is cut from it"
                )
        if self.resize not in get_args(Resize):
            raise StriateError("preprocess: " + unknown("resize", str(self.resize), get_args(Resize)))
        if self.filter not in get_args(Filter):
            raise StriateError("preprocess: " + unknown("filter", str(self.filter), get_args(Filter)))
        for name, least in (("mean", -math.inf), ("std", 0.0)):
            values = finite_numbers(getattr(self, name))
            if values is None or len(values) != self.channels or min(values) <= least:
                kind = "finite" if name == "mean" else "positive"
                wanted = f"{self.channels} {kind} number(s), one per channel"
                raise StriateError(f"preprocess: {name} is {given(getattr(self, name))}; give {wanted}")
            object.__setattr__(self, name, values)

    @cached_property
    def scale(self) -> NDArray[np.float32]:
        """[channels]: out = px * scale + shift, each rounded to float32 once."""
        return (1 / (255 * np.array(self.std, np.float64))).astype(np.float32)

    @cached_property
    def shift(self) -> NDArray[np.float32]:
        """[channels]: out = px * scale + shift, each rounded to float32 once."""
        return (-np.array(self.mean, np.float64) / np.array(self.std, np.float64)).astype(np.float32)

    @cached_property
    def mean_colour(self) -> NDArray[np.uint8]:
        """[channels]: the byte nearest to the mean, the least visible thing to pad with."""
        return np.clip(np.rint(255 * np.array(self.mean, np.float64)), 0, 255).astype(np.uint8)

    def base(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [H, W, C] → uint8 [≥h, ≥w, C]: the resized image that every window is cut from.

        The image itself, not a copy, when it has the size already. Of a strip more than 8 windows long only the middle
        is kept.

        Raises StriateError when the image has other channels, or no pixels.
        """
        if image.ndim != 3 or image.shape[2] != self.channels or image.size == 0:
            raise StriateError(f"preprocess: an image of shape {image.shape}; expected (H, W, {self.channels})")
        if self.resize == "crop":
            image = _without_far_ends(image, self.resize_size or self.size)
        height, width = self.base_size(image.shape[0], image.shape[1])
        if image.shape[:2] == (height, width):
            return image
        return _native.resize(np.ascontiguousarray(image), height, width, self.filter)

    def base_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the base of an image of height × width px.

        >>> photo = Preprocess(channels=3, size=(224, 224), mean=(0.5,) * 3, std=(0.25,) * 3)
        >>> photo.base_size(375, 500)
        (224, 299)
        """
        h, w = self.resize_size or self.size
        if self.resize == "squash":
            return h, w
        if h * width >= w * height:  # relatively wider than the window: the height decides
            return h, max(w, _rounded(width * h, height))
        return max(h, _rounded(height * w, width)), w

    def frames(self, sizes: NDArray[np.int32]) -> NDArray[np.float64]:
        """float64 [B, 3, 3]: (x, y, 1) in the centre window to (x, y, 1) in images of `sizes` [B, 2], (height, width).

        What evaluation sees, as a map: a pixel is a unit square, its centre at whole + ½ (docs/design/augment.md).

        >>> photo = Preprocess(channels=3, size=(224, 224), mean=(0.5,) * 3, std=(0.25,) * 3)
        >>> photo.frames(np.array([[448, 448]], np.int32))[0].tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
        """
        if len(sizes) and (sizes == sizes[0]).all():
            return np.tile(self._frame(int(sizes[0, 0]), int(sizes[0, 1])), (len(sizes), 1, 1))
        frames = np.zeros((len(sizes), 3, 3))
        known: dict[tuple[int, int], NDArray[np.float64]] = {}
        for b, (height, width) in enumerate(sizes.tolist()):
            if (height, width) not in known:
                known[height, width] = self._frame(height, width)
            frames[b] = known[height, width]
        return frames

    def _frame(self, height: int, width: int) -> NDArray[np.float64]:
        top, left, rows, columns = 0, 0, height, width
        if self.resize == "crop":
            top, left, rows, columns = _kept_of_strip(height, width, self.resize_size or self.size)
        base_height, base_width = self.base_size(rows, columns)
        down, across = rows / base_height, columns / base_width
        h, w = self.size
        up, aside = (base_height - h) // 2, (base_width - w) // 2  # as in centre_windows
        return np.array([[across, 0, left + aside * across], [0, down, top + up * down], [0, 0, 1]])

    def tensor(self, image: NDArray[np.uint8]) -> "torch.Tensor":
        """uint8 [H, W, C] → float32 [C, h, w]: to the bit what a loader without a policy yields for this image."""
        import torch  # here, because looking at data should not wait for torch to load

        base = self.base(image)
        out = torch.empty((1, self.channels, *self.size), dtype=torch.float32, device="cpu")
        windows = centre_windows(np.array([base.shape[:2]], np.int32), self.size)
        fill = np.zeros(self.channels, np.uint8)  # never seen: a base covers its window
        _native.batch_from_list([base], windows, fill, self.scale, self.shift, out.numpy(), 1)
        return self.finished(out)[0]

    def finished(self, images: "torch.Tensor") -> "torch.Tensor":
        """Normalised images float32 [B, C, h, w] as the net reads them: themselves, or whitened where that is asked."""
        return images if self.whitening is None else self.whitening.apply(images)

    @classmethod
    def fit(
        cls,
        samples: Samples,
        channels: int,
        size: tuple[int, int],
        *,
        resize: Resize = "crop",
        filter: Filter = "bilinear",
        limit: int | None = None,
        threads: int = 2,
    ) -> "Preprocess":
        """Mean and deviation of each channel over the centre windows of `samples` (the training part, no other).

        Sums of bytes and of their squares are whole numbers and are added as such: the result is exact and does not
        depend on `threads`. A deviation below one grey level (a channel that is constant, or nearly) counts as one
        grey level, 1/255, so that no image is ever magnified beyond its bytes. `limit` looks at so many images, evenly
        spread, instead of all.

        Raises StriateError when there are no samples.
        """
        neutral = cls(
            channels=channels, size=size, resize=resize, filter=filter, mean=(0.0,) * channels, std=(1.0,) * channels
        )
        count, (totals,) = summed(samples, channels, [lambda: WindowSums(neutral)], limit=limit, threads=threads)
        return neutral.fitted(count, totals)

    def fitted(self, count: int, totals: list[int]) -> "Preprocess":
        """With the mean and deviation that the totals of `WindowSums` over `count` images say.

        Raises StriateError when there was no image.
        """
        if count == 0:
            raise StriateError("preprocess: no images to fit mean and deviation to; the training part is empty")
        total, squares = totals[: self.channels], totals[self.channels :]
        n = count * self.size[0] * self.size[1]
        mean = tuple(t / (255 * n) for t in total)
        # n²·variance = n·Σx² − (Σx)², a whole number: nothing cancels before the one division
        spread = (math.sqrt((n * q - t * t) / (n * n)) / 255 for t, q in zip(total, squares, strict=True))
        return replace(self, mean=mean, std=tuple(max(s, GREY_LEVEL) for s in spread))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, as JSON and TOML know them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        whitening = values.pop("whitening")
        told = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return told if whitening is None else {**told, "whitening": whitening.to_dict()}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Preprocess":
        """The inverse of `to_dict`. Raises StriateError on a key that is missing, unknown, or of the wrong kind."""
        names = [field.name for field in fields(cls)]
        for name in settings:
            if name not in names:
                raise StriateError("preprocess: " + unknown("setting", str(name), names))
        settings = {"resize_size": None, "whitening": None, **settings}
        if settings["whitening"] is not None:
            settings["whitening"] = Whitening.from_dict(settings["whitening"])
        missing = [name for name in names if name not in settings]
        if missing:
            raise StriateError(
                f"preprocess: {', '.join(missing)} missing; a model file states all of {', '.join(names)}"
            )
        for name in ("size", "resize_size", "mean", "std"):
            value = settings[name]
            if name == "resize_size" and value is None:
                continue
            if not isinstance(value, list | tuple) or not all(isinstance(v, int | float) for v in value):
                raise StriateError(f"preprocess: {name} is {value!r}; expected a list of numbers")
        return cls(**settings)


def _sides(name: str, given_sides: Any) -> tuple[int, int]:
    """Raises StriateError unless they are two whole numbers from 1 on; one, as others' transforms take, is none."""
    try:
        height, width = map(whole, given_sides)
    except (TypeError, ValueError):
        height = width = None
    if not height or not width or min(height, width) < 1:
        raise StriateError(f"preprocess: {name} is {given(given_sides)}; give (height, width) in whole pixels")
    return height, width


def centre_windows(sizes: NDArray[np.int32], out: tuple[int, int]) -> NDArray[np.int32]:
    """int32 [B, 3], rows of (top, left, 0): the centre h×w window of images of `sizes` [B, 2], each (height, width).

    Half a pixel goes up and left.
    """
    windows = np.zeros((len(sizes), 3), np.int32)
    windows[:, :2] = (sizes - np.array(out)) // 2
    return windows


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number, halves up, without passing through a float."""
    return (2 * numerator + denominator) // (2 * denominator)


def _without_far_ends(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of an image that is more than LONGEST windows long."""
    top, left, rows, columns = _kept_of_strip(image.shape[0], image.shape[1], size)
    if (rows, columns) == image.shape[:2]:
        return image
    return image[top : top + rows, left : left + columns]


def _kept_of_strip(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is kept of an image: all, unless it is more than LONGEST windows long."""
    h, w = size
    most_rows = max(1, _rounded(LONGEST * h * width, w))
    most_columns = max(1, _rounded(LONGEST * w * height, h))
    if height > most_rows:
        return (height - most_rows) // 2, 0, most_rows, width
    if width > most_columns:
        return 0, (width - most_columns) // 2, height, most_columns
    return 0, 0, height, width


@final
class WindowSums(Sum):
    """Σx and Σx² of each channel over the centre windows."""

    def __init__(self, preprocess: Preprocess) -> None:
        self._preprocess = preprocess
        self._windows: list[NDArray[np.uint8]] = []

    def add(self, image: NDArray[np.uint8]) -> None:
        base = self._preprocess.base(image)
        h, w = self._preprocess.size
        top, left = (base.shape[0] - h) // 2, (base.shape[1] - w) // 2  # as in centre_windows
        self._windows.append(base[top : top + h, left : left + w])

    def totals(self) -> list[int]:
        channels = self._preprocess.channels
        if not self._windows:
            return [0] * (2 * channels)
        pixels = np.stack(self._windows)
        # float64 holds every sum of squared bytes exactly up to 2⁵³ (10¹¹ pixels), and a dot product runs outside the
        # GIL
        by_channel = [pixels[..., c].ravel().astype(np.float64) for c in range(channels)]
        return [int(x.sum()) for x in by_channel] + [int(x @ x) for x in by_channel]
