"""The embedded default: 1,797 scans of handwritten digits that scikit-learn ships, so no network is needed.

Preprocessed bitmaps of 43 people's digits (Alpaydin & Kaynak 1998, "Cascading classifiers"; UCI Machine Learning
Repository, Optical Recognition of Handwritten Digits, its test part): 8×8 pixels, each a count of ink dots, 0 … 16.
"""

import numpy as np

from striate.data.samples import ArraySamples

__all__ = ["digits"]


def digits() -> ArraySamples:
    """All digits as uint8[1797, 8, 8, 1], the 16 levels spread over 0 … 255, in scikit-learn's order."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # a second to import, and no stubs

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    return ArraySamples(images, bunch.target, [f"digits/{i:04d}" for i in range(len(images))])
