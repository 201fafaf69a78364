"""What a policy does to images: one of them as a certain epoch showed it, and a sheet of many.

The pixels come from the loader itself, so what is shown is what a net was shown, rounded to bytes.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.augment import Draws, Policy
from striate.data import Loader, Preprocess, Samples
from striate.errors import StriateError

__all__ = ["NoisyView", "contact_sheet", "noisy_view"]

GAP = 2  # px between the pictures of a sheet
PAPER = 255


@dataclass(frozen=True, kw_only=True)
class NoisyView:
    """`pixels` uint8 [h, w, C], and the `draws` (of one sample) that made them."""

    pixels: NDArray[np.uint8]
    draws: Draws


def noisy_view(
    samples: Samples, preprocess: Preprocess, policy: Policy | None, *, seed: int, epoch: int, sample: int
) -> NoisyView:
    """Sample number `sample` as epoch `epoch` (counted from 0) of a run with this seed shows it; None: as testing does.

    Raises StriateError when there is no such sample.
    """
    if not 0 <= sample < len(samples):
        raise StriateError(f"no sample {sample}: the part has {len(samples):,} images, counted from 0")
    loader = Loader(samples, preprocess, batch_size=1, policy=policy, seed=seed, workers=0)
    with contextlib.closing(loader.epoch(epoch, start=sample)) as batches:  # unshuffled: batch k is sample k
        image = next(batches).images[0].numpy().transpose(1, 2, 0)
    pixels = 255 * (image * np.array(preprocess.std) + np.array(preprocess.mean))
    size = np.array([samples.pixels(sample, preprocess.channels).shape[:2]], np.int32)
    draws = (policy or Policy()).draws(
        seed,
        epoch,
        np.array([sample]),
        size,
        preprocess.size,
        preprocess.frames(size),
        channels=preprocess.channels,
    )
    return NoisyView(pixels=np.rint(pixels).clip(0, 255).astype(np.uint8), draws=draws)


def contact_sheet(
    samples: Samples,
    preprocess: Preprocess,
    policy: Policy,
    *,
    seed: int,
    chosen: Sequence[int],
    epochs: Sequence[int],
) -> NDArray[np.uint8]:
    """uint8 [H, W, C]: a row for each chosen sample; first as testing sees it, then as each epoch shows it."""
    h, w = preprocess.size
    rows, columns = len(chosen), 1 + len(epochs)
    sheet = np.full((rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, preprocess.channels), PAPER, np.uint8)
    for row, sample in enumerate(chosen):
        for column in range(columns):
            with_noise = policy if column else None
            epoch = epochs[column - 1] if column else 0
            view = noisy_view(samples, preprocess, with_noise, seed=seed, epoch=epoch, sample=sample)
            top, left = row * (h + GAP), column * (w + GAP)
            sheet[top : top + h, left : left + w] = view.pixels
    return sheet
