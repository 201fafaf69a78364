"""From a list of names to parts and classes: what the folders of a data set mean.

    photos/cats/1.jpg                     one folder per class
    photos/train/cats/1.jpg               parts above that: train/, val/ and test/, by any of their names in CALLED
    photos.zip, photos/photos/cats/…      the same inside a zip, or one folder further down

A class is the first folder; what lies deeper belongs to it. Nothing here touches a disk: names come in, names go out.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from striate.data.parts import PARTS
from striate.data.shown import shown
from striate.errors import StriateError, few
from striate.pages.wording import plural

__all__ = ["CALLED", "Layout", "check_classes", "hidden", "read_layout"]

CALLED = {  # what a part may be called, and which it is
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"})


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`parts`: part → class → entries, where the only part is "train" when the source has none.

    `left_out`: entries that are not used, each with the reason.
    """

    parts: Mapping[str, Mapping[str, Sequence[str]]]
    left_out: tuple[tuple[str, str], ...]


def read_layout(
    where: str, files: Iterable[str], folders: Iterable[str], not_an_image: Callable[[str], str | None]
) -> Layout:
    """Sort `files` into parts and classes; `not_an_image(file)` gives the reason why one is none, or None.

    Raises StriateError, naming `where`, for a layout that is not one of the above.
    """
    tree = _Tree.of([f for f in files if not hidden(f)], [f for f in folders if not hidden(f)])
    if not tree.files and not tree.below:
        raise StriateError(f"{where} is empty; it should hold one folder of images per class")
    tree = _unwrapped(tree, not_an_image)
    named = [name for name in tree.below if name.lower() in CALLED]
    parts = {name: tree.below[name] for name in sorted(named, key=lambda name: PARTS.index(CALLED[name.lower()]))}
    if any(part.has_classes(not_an_image) for part in parts.values()):
        return _in_parts(where, tree, parts, not_an_image)
    loose = tree.images(not_an_image)
    classes, left_out = _classes(tree, not_an_image)
    if not loose and not tree.below:
        raise StriateError(f"{where} holds no image; it should hold one folder of images per class")
    if loose and not any(classes.values()):
        raise StriateError(
            f"{where}: {plural(len(loose), 'image lies', 'images lie')} directly in it, with no class ({_few(loose)}); "
            "put each into a folder named after its class, or list them in a CSV of path,label"
        )
    if len(parts) == len(tree.below) and any(part.images(not_an_image) for part in parts.values()):
        first = next(name for name, part in parts.items() if part.images(not_an_image))
        raise StriateError(
            f"{where}/{first} holds images directly, with no class; put each into {first}/<its class>/, or list them "
            "in a CSV of path,label"
        )
    return Layout(parts={"train": classes}, left_out=tuple(left_out))


def check_classes(where: str, parts: Mapping[str, Mapping[str, Sequence[str]]]) -> tuple[str, ...]:
    """The classes, sorted by name as torchvision's ImageFolder sorts them, of a source that can be trained on.

    Raises StriateError for a class without an image, a class that training lacks, one class only, names that collide,
    and names that are no text, which no model file could hold.
    """
    classes = tuple(sorted(parts["train"]))
    everywhere = sorted({name for part in parts.values() for name in part})
    seen: dict[str, str] = {}
    for name in everywhere:
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # what Python makes of bytes that are no UTF-8
            raise StriateError(f"{shown(where)}: the class '{shown(name)}' is no text in UTF-8; rename its folder")
        plain = unicodedata.normalize("NFC", name).casefold()
        if plain in seen:
            raise StriateError(
                f"{where}: the classes {seen[plain]!r} and {name!r} differ only in case or in how accents are "
                "stored; make one of them, or rename one"
            )
        seen[plain] = name
    for name in classes:
        if not parts["train"][name]:
            inside = "train/" if len(parts) > 1 else ""
            raise StriateError(f"{where}: class {name!r} has no image; put images into {inside}{name}, or delete it")
    for part, held in parts.items():
        unknown = [name for name in sorted(held) if held[name] and name not in parts["train"]]
        if unknown:
            raise StriateError(
                f"{where}: class {unknown[0]!r} is in {part} but not in train, so nothing can be learnt of it; "
                f"add images of it to train, or take it out of {part}"
            )
    if len(classes) == 1:
        raise StriateError(
            f"{where} has one class only, {classes[0]!r} ({plural(len(parts['train'][classes[0]]), 'image')}); "
            "telling classes apart needs at least two"
        )
    return classes


@dataclass(frozen=True)
class _Tree:
    """A folder: its path from the root, the files directly in it, and the folders below, by name, sorted."""

    path: str
    files: list[str]
    below: "dict[str, _Tree]"

    @classmethod
    def of(cls, files: Sequence[str], folders: Sequence[str]) -> "_Tree":
        root = cls("", [], {})
        for folder in sorted(folders):
            root._descend(PurePosixPath(folder).parts)
        for file in sorted(files):
            root._descend(PurePosixPath(file).parts[:-1]).files.append(file)
        return root

    def _descend(self, names: Sequence[str]) -> "_Tree":
        tree = self
        for name in names:
            tree = tree.below.setdefault(name, _Tree(f"{tree.path}/{name}".lstrip("/"), [], {}))
        return tree

    def images(self, not_an_image: Callable[[str], str | None]) -> list[str]:
        """Images directly in this folder."""
        return [file for file in self.files if not_an_image(file) is None]

    def has_classes(self, not_an_image: Callable[[str], str | None]) -> bool:
        """Whether the folders below hold more images than lie here: a part with strays, not a class with subfolders."""
        below = [file for folder in self.below.values() for file in folder.everything() if not_an_image(file) is None]
        return len(below) > len(self.images(not_an_image))

    def everything(self) -> list[str]:
        """Files in this folder and in all below."""
        return [*self.files, *(file for folder in self.below.values() for file in folder.everything())]

    def unused(self, not_an_image: Callable[[str], str | None]) -> str:
        """What is said of a folder beside the parts: one line for it, and not one for each image."""
        images = sum(not_an_image(file) is None for file in self.everything())
        said = f" ({plural(images, 'image')} in it)" if images else ""
        return f"is neither train, val nor test{said}"


def _unwrapped(tree: _Tree, not_an_image: Callable[[str], str | None]) -> _Tree:
    """Step into a folder that only wraps the others, as zips of a folder have it."""
    while len(tree.below) == 1 and not tree.images(not_an_image):
        (name, inner), *_ = tree.below.items()
        if name.lower() in CALLED or not inner.below or inner.images(not_an_image):
            break
        tree = inner
    return tree


def _in_parts(where: str, tree: _Tree, parts: Mapping[str, _Tree], not_an_image: Callable[[str], str | None]) -> Layout:
    found: dict[str, str] = {}
    sorted_out: dict[str, dict[str, list[str]]] = {}
    left_out: list[tuple[str, str]] = [(file, "lies outside train, val and test") for file in tree.images(not_an_image)]
    for name, folder in parts.items():
        part = CALLED[name.lower()]
        if part in found:
            raise StriateError(f"{where} has both {found[part]}/ and {name}/ for one part; keep one of them")
        found[part] = name
        classes, outside = _classes(folder, not_an_image)
        left_out += outside
        if classes:
            sorted_out[part] = classes
    if "train" not in sorted_out:
        had = " and ".join(f"{name}/" for name in found.values())
        raise StriateError(f"{where} has {had} but no train/ with class folders; nothing can be trained on")
    left_out += [(folder.path, folder.unused(not_an_image)) for n, folder in tree.below.items() if n not in parts]
    return Layout(
        parts={part: sorted_out[part] for part in PARTS if part in sorted_out},
        left_out=tuple(left_out),
    )


def _classes(
    tree: _Tree, not_an_image: Callable[[str], str | None]
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Images by class, and what is left out with the reason."""
    classes: dict[str, list[str]] = {}
    left_out = [(file, "lies outside every class folder") for file in tree.images(not_an_image)]
    for name, folder in tree.below.items():
        classes[name] = []
        for file in folder.everything():
            reason = not_an_image(file)
            if reason is None:
                classes[name].append(file)
            else:
                left_out.append((file, reason))
    return classes, left_out


def hidden(path: str) -> bool:
    """Whether a file or folder is passed over, or lies in one that is: hidden, or what systems leave among images."""
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in PurePosixPath(path).parts)


def _few(images: Sequence[str]) -> str:
    return few((PurePosixPath(file).name for file in images), 3)
