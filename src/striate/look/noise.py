"""What a policy does to images: one of them as a certain epoch showed it, and a sheet of many.

The pixels come from the loader itself, so what is shown is what a net was shown, rounded to bytes.
"""

import contextlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from striate.augment import Draws, Policy
from striate.data import Loader, Preprocess, Samples
from striate.errors import StriateError

__all__ = ["contact_sheet", "draws_of", "noisy_view"]

GAP = 2  # px between the pictures of a sheet
PAPER = 255


def noisy_view(
    samples: Samples, preprocess: Preprocess, policy: Policy | None, *, seed: int, epoch: int, sample: int
) -> NDArray[np.uint8]:
    """uint8 [h, w, C]: a sample as an epoch of a run with this seed shows it, both counted from 0; None: as tested.

    Raises StriateError when there is no such sample.
    """
    if not 0 <= sample < len(samples):
        raise StriateError(f"no sample {sample}: the part has {len(samples):,} images, counted from 0")
    loader = Loader(samples, preprocess, batch_size=1, policy=policy, seed=seed, workers=0)
    with contextlib.closing(loader.epoch(epoch, start=sample)) as batches:  # unshuffled: batch k is sample k
        image = next(batches).images[0].numpy().transpose(1, 2, 0)
    pixels = 255 * (image * np.array(preprocess.std) + np.array(preprocess.mean))
    shown: NDArray[np.uint8] = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return shown


def draws_of(samples: Samples, preprocess: Preprocess, policy: Policy, *, seed: int, epoch: int, sample: int) -> Draws:
    """What `noisy_view` shows of this sample, in numbers."""
    size = np.array([samples.pixels(sample, preprocess.channels).shape[:2]], np.int32)
    frames = preprocess.frames(size)
    return policy.draws(seed, epoch, np.array([sample]), size, preprocess.size, frames, channels=preprocess.channels)


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
            shown = noisy_view(samples, preprocess, with_noise, seed=seed, epoch=epoch, sample=sample)
            top, left = row * (h + GAP), column * (w + GAP)
            sheet[top : top + h, left : left + w] = shown
    return sheet
