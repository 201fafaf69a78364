"""A data set of image files: a folder, a zip, or a list, read into parts and checked."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from striate.data.badimage import BadImage
from striate.data.check import Problem, scan
from striate.data.dataset import Dataset, Split, class_counts, mirror_keeps, split_parts
from striate.data.formats import EXTENSIONS, format_of, what_else
from striate.data.layout import Layout, check_classes, read_layout
from striate.data.samples import FileSamples
from striate.data.source import Source
from striate.errors import StriateError

__all__ = ["open_files", "open_tree"]

Progress = Callable[[int, int], None]  # (files checked, of how many)


def open_tree(
    source: Source, where: str, *, strict: bool, check: bool, how: Split, progress: Progress | None
) -> Dataset:
    """A folder or a zip whose folders are its classes. Raises StriateError as `striate.data.open` says."""
    files, folders = source.listing()
    layout = read_layout(where, files, folders, lambda entry: _not_an_image(source, entry))
    return open_files(source, layout, where, strict=strict, check=check, how=how, progress=progress)


def open_files(
    source: Source, layout: Layout, where: str, *, strict: bool, check: bool, how: Split, progress: Progress | None
) -> Dataset:
    """Files already sorted into parts and classes: checked, freed of the bad ones, split."""
    classes = check_classes(where, layout.parts)
    labelled = {part: _labelled(held, classes) for part, held in layout.parts.items()}
    total = sum(len(entries) for entries, _ in labelled.values())
    problems = [Problem(source.where(entry), reason) for entry, reason in layout.left_out]
    samples = {part: FileSamples(source, entries, labels) for part, (entries, labels) in labelled.items() if entries}
    if check:
        everything = FileSamples(
            source,
            [e for part in samples.values() for e in part.entries],
            [x for p in samples.values() for x in p.labels],
        )
        bad = scan(everything, progress=progress)
        problems += bad.values()
        at = 0
        for part, held in list(samples.items()):
            good = [i for i in range(len(held)) if at + i not in bad]
            at += len(held)
            samples[part] = held if len(good) == len(held) else held.subset(good)
    if strict and problems:
        listed = "\n".join(str(problem) for problem in problems)
        raise StriateError(f"{where}: {_files(len(problems))} cannot be used, and --strict allows none:\n{listed}")
    _check_left(where, samples["train"], classes, problems)
    train, val, test = split_parts(samples["train"], samples.get("val"), samples.get("test"), how)
    return Dataset(
        name=PurePosixPath(Path(where).as_posix()).stem or where,
        spec=where,
        classes=classes,
        train=train,
        val=val,
        test=test,
        mirror=mirror_keeps(classes),
        notes=tuple(_notes(problems, total, {"val": samples.get("val"), "test": samples.get("test")}, classes)),
        problems=tuple(problems),
    )


def _not_an_image(source: Source, entry: str) -> str | None:
    """Why a file is not taken for an image: a known extension is trusted here (the scan decodes it), else its bytes."""
    if PurePosixPath(entry).suffix.lower() in EXTENSIONS:
        return None
    try:
        head = source.read(entry)[:4096]
    except BadImage as error:
        return error.reason
    return None if format_of(head) is not None else what_else(head)


def _labelled(held: Mapping[str, Sequence[str]], classes: Sequence[str]) -> tuple[list[str], list[int]]:
    entries = [(entry, label) for label, name in enumerate(classes) for entry in held.get(name, ())]
    return [entry for entry, _ in entries], [label for _, label in entries]


def _check_left(where: str, train: FileSamples, classes: Sequence[str], problems: Sequence[Problem]) -> None:
    for name, count in class_counts(train, classes).items():
        if count == 0:
            first = next((p for p in problems if f"/{name}/" in p.name.replace("\\", "/")), problems[0])
            raise StriateError(
                f"{where}: class {name!r} has no image left in train, every file of it is bad ({first}); "
                "mend or replace them, or take the class out"
            )


def _notes(
    problems: Sequence[Problem], total: int, parts: Mapping[str, FileSamples | None], classes: Sequence[str]
) -> list[str]:
    notes = [str(problem) for problem in problems]
    if problems:
        notes.append(f"{_files(len(problems))} skipped, {total} images listed")
    for part, samples in parts.items():
        missing = [name for name, count in class_counts(samples, classes).items() if count == 0]
        if samples is not None and missing:
            listed = ", ".join(repr(name) for name in missing[:6]) + (", …" if len(missing) > 6 else "")
            notes.append(f"{part} has no image of {listed}")
    return notes


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
