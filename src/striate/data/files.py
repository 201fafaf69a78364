"""A data set of image files: a folder, a zip, or a list, read into parts and checked."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from striate.data.badimage import BadImage
from striate.data.check import Problem, scan_and_digest
from striate.data.dataset import Dataset, Split, class_counts, mirror_keeps, split_parts
from striate.data.doubles import notes_on_doubles
from striate.data.formats import EXTENSIONS, format_of, what_else
from striate.data.layout import Layout, check_classes, read_layout
from striate.data.parts import PARTS
from striate.data.samples import FileSamples, Samples
from striate.data.source import Source
from striate.errors import StriateError, few
from striate.pages.wording import plural

__all__ = ["Checks", "open_files", "open_tree"]


@dataclass(frozen=True, kw_only=True)
class Checks:
    """`check`: decode every file first; `strict`: one bad file is fatal; `progress(files done, of how many)`."""

    check: bool = True
    strict: bool = False
    progress: Callable[[int, int], None] | None = None


def open_tree(source: Source, where: str, checks: Checks, how: Split) -> Dataset:
    """A folder or a zip whose folders are its classes. Raises StriateError as `striate.data.open` says."""
    files, folders = source.listing()
    layout = read_layout(where, files, folders, functools.cache(lambda entry: _not_an_image(source, entry)))
    return open_files(source, layout, where, checks, how)


def open_files(source: Source, layout: Layout, where: str, checks: Checks, how: Split) -> Dataset:
    """Files already sorted into parts and classes: checked, freed of the bad ones, split."""
    classes = check_classes(where, layout.parts)
    samples = {part: _samples(source, held, classes) for part, held in layout.parts.items()}
    listed = sum(len(held) for held in samples.values())
    problems = [Problem(source.where(entry), reason) for entry, reason in layout.left_out]
    bad: dict[str, dict[int, Problem]] = {part: {} for part in samples}
    if checks.check:
        samples, bad = _scan_parts(source, samples, checks.progress)
    problems += [problem for found in bad.values() for problem in found.values()]
    if checks.strict and problems:
        lines = "\n".join(str(problem) for problem in problems)
        raise StriateError(
            f"{where}: {plural(len(problems), 'file')} cannot be used, and --strict allows none:\n{lines}"
        )
    _check_train(where, samples["train"], bad["train"], classes)
    samples = {part: held.subset([i for i in range(len(held)) if i not in bad[part]]) for part, held in samples.items()}
    some = {part: held for part, held in samples.items() if len(held)}
    train, val, test = split_parts(some["train"], some.get("val"), some.get("test"), how)
    parts = dict(zip(PARTS, (train, val, test), strict=True))
    remarks = (*_lacking(parts, classes), *notes_on_doubles(parts, classes))
    return Dataset(
        name=_name(Path(where)),
        spec=where,
        classes=classes,
        train=train,
        val=val,
        test=test,
        mirror=mirror_keeps(classes),
        notes=(*_skipped(problems, listed), *remarks),
        problems=tuple(problems),
        remarks=remarks,
    )


def _not_an_image(source: Source, entry: str) -> str | None:
    """Why a file is not taken for an image: a known extension is trusted here (the scan decodes it), else its bytes."""
    if PurePosixPath(entry).suffix.lower() in EXTENSIONS:
        return None
    try:
        head = source.head(entry)
    except BadImage as error:
        return error.reason
    return None if format_of(head) is not None else what_else(head)


def _samples(source: Source, held: Mapping[str, Sequence[str]], classes: Sequence[str]) -> FileSamples:
    pairs = [(entry, label) for label, name in enumerate(classes) for entry in held.get(name, ())]
    return FileSamples(source, [entry for entry, _ in pairs], [label for _, label in pairs])


def _scan_parts(
    source: Source, samples: Mapping[str, FileSamples], progress: Callable[[int, int], None] | None
) -> tuple[dict[str, FileSamples], dict[str, dict[int, Problem]]]:
    """Every part with its files' digests, and the bad files of each, by index; one scan over all of them, so that
    progress counts once."""
    parts = samples.values()
    labels = np.concatenate([part.labels for part in parts])
    everything = FileSamples(source, [entry for part in parts for entry in part.entries], labels)
    bad, digests = scan_and_digest(everything, progress=progress)
    first = dict(zip(samples, itertools.accumulate(map(len, parts), initial=0), strict=False))
    read = {
        part: FileSamples(source, held.entries, held.labels, digests[first[part] : first[part] + len(held)])
        for part, held in samples.items()
    }
    return read, {
        part: {i - first[part]: problem for i, problem in bad.items() if 0 <= i - first[part] < len(held)}
        for part, held in samples.items()
    }


def _check_train(where: str, train: FileSamples, bad: Mapping[int, Problem], classes: Sequence[str]) -> None:
    """Raises StriateError where a class has lost its every image."""
    of_class = {int(train.labels[i]): problem for i, problem in reversed(list(bad.items()))}  # the first of each class
    left = class_counts(train.subset([i for i in range(len(train)) if i not in bad]), classes)
    for label, (name, count) in enumerate(left.items()):
        if count == 0:
            raise StriateError(
                f"{where}: class {name!r} has no image left in train, every file of it is bad ({of_class[label]}); "
                "mend or replace them, or take the class out"
            )


def _skipped(problems: Sequence[Problem], listed: int) -> list[str]:
    skipped = [f"{plural(len(problems), 'file')} skipped; {listed:,} listed as images"] if problems else []
    return [*map(str, problems), *skipped]


def _lacking(parts: Mapping[str, Samples | None], classes: Sequence[str]) -> list[str]:
    """What no class is measured on: of a source's own parts, and of those that were cut from a class of few images."""
    notes = []
    for part, held in parts.items():
        missing = [name for name, count in class_counts(held, classes).items() if count == 0]
        if held is not None and missing:
            notes.append(f"{part} has no image of {few(map(repr, missing), 6)}")
    return notes


def _name(path: Path) -> str:
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem
