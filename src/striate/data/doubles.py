"""Files that a data set holds twice where that does harm: in two parts, or in two classes.

A file that training sees and testing asks about is known by heart, and the error measured on it too low; one that is of
two classes cannot be learnt. Copies, links and hard links all tell themselves by their bytes, which the scan has read.
They are told and left where they are: the split of a set must not depend on what a later version finds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from striate.data.samples import FileSamples, Samples
from striate.data.shown import shown
from striate.pages.wording import plural

__all__ = ["notes_on_doubles"]


def notes_on_doubles(parts: Mapping[str, Samples | None], classes: Sequence[str]) -> list[str]:
    """One line for each of both kinds, with the first pair; none where the files were not read."""
    held = {name: part for name, part in parts.items() if isinstance(part, FileSamples) and part.digests is not None}
    if not held:
        return []
    digests = np.concatenate([part.digests for part in held.values() if part.digests is not None])
    labels = np.concatenate([part.labels for part in held.values()])
    of = np.repeat(np.arange(len(held)), [len(part) for part in held.values()])
    row = np.concatenate([np.arange(len(part)) for part in held.values()])
    names, samples = tuple(held), tuple(held.values())

    def told(i: int, group: str) -> str:
        return f"{samples[of[i]].name(int(row[i]))} in {group}"

    notes = []
    if (found := _apart(digests, of)) is not None:
        count, a, b = found
        pair = f"{told(a, names[of[a]])} is {told(b, names[of[b]])}"
        files = plural(count, "file is", "files are")
        notes.append(f"{files} in two parts, so that what is measured there was seen before: {pair}")
    if (found := _apart(digests, labels)) is not None:
        count, a, b = found
        pair = f"{told(a, repr(classes[labels[a]]))} is {told(b, repr(classes[labels[b]]))}"
        notes.append(f"{plural(count, 'file is', 'files are')} in two classes, of which one must be wrong: {pair}")
    return [shown(note) for note in notes]


def _apart(digests: NDArray[np.uint64], groups: NDArray[np.int64]) -> tuple[int, int, int] | None:
    """How many digests are in more than one group, and two places of the first; None where there is none."""
    order = np.lexsort((np.arange(len(digests)), groups, digests))
    same = (digests[order][1:] == digests[order][:-1]) & (groups[order][1:] != groups[order][:-1])
    at = np.flatnonzero(same)
    if not len(at):
        return None
    first = at[np.argmin(order[at])]
    return len(np.unique(digests[order][at])), int(order[first]), int(order[first + 1])
