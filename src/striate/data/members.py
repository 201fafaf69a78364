"""Which samples each class has: one sort of all labels, where a look at all for every class would take K passes."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["members_of"]


def members_of(
    labels: NDArray[np.int64], ranks: NDArray[np.int64 | np.uint32] | None = None
) -> dict[int, NDArray[np.int64]]:
    """Label → int64 indices of its samples, labels ascending; by `ranks` [N], equal ones and all without by index.

    Labels and ranks are from 0 to 2³² − 1: both go into one number, which is what is sorted.

    >>> {label: own.tolist() for label, own in members_of(np.array([7, 3, 7, 7]), np.array([0, 0, 2, 1])).items()}
    {3: [1], 7: [0, 3, 2]}
    """
    keys = labels.astype(np.uint64) << np.uint64(32)
    if ranks is not None:
        keys |= ranks.astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    known, begins = np.unique(labels[order], return_index=True)
    return dict(zip(known.tolist(), np.split(order, begins[1:]), strict=True)) if len(known) else {}
