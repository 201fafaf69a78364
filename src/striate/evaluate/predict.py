"""What a trained net says about images it is handed: files, folders, patterns.

Reading, orienting, resizing, normalising and averaging are evaluation's own.
"""

import dataclasses
import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePosixPath

from striate.data import BadImage
from striate.data.decoding import decode
from striate.data.formats import EXTENSIONS, format_of
from striate.data.layout import hidden
from striate.data.shown import shown
from striate.data.source import FolderSource, read_file
from striate.errors import StriateError
from striate.evaluate.marginal import Marginal
from striate.evaluate.members import member
from striate.evaluate.views import Plan
from striate.plain import check_whole
from striate.tasks import Classification
from striate.train.looks import Bases

__all__ = ["Prediction", "Predictor", "find_images"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """The likeliest classes of one image with their probabilities, likeliest first; or why it could not be read."""

    path: str
    top: tuple[tuple[str, float], ...] = ()
    problem: str | None = None


class Predictor:
    """A model file, or a net with published weights, ready to be asked."""

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "cpu",
        workers: int = 2,
        batch_size: int = 32,
        classes: Sequence[str] = (),
        offline: bool = False,
        plan: Plan | None = None,
    ) -> None:
        """`classes` names what the net answers, in place of the model's own; `offline` fetches no weights. `plan` says
        which views are averaged: by default the one that training's own measures are of.

        Raises StriateError when the file is not a model.
        """
        asked, _ = member(model, classes=classes, offline=offline)
        self._marginal = Marginal((asked,), plan, batch_size=batch_size, device=device)
        self.task = Classification(asked.classes)
        self.preprocess = asked.preprocess
        self.notes = self._marginal.notes
        self._workers = workers
        self._batch_size = max(1, batch_size // self._marginal.views)  # files in a chunk: the net sees all their views

    def predict(self, paths: Iterable[str | Path], *, top_k: int = 5) -> Iterator[Prediction]:
        """One prediction for each path, in order; a file that cannot be read becomes a problem and stops nothing.

        Raises StriateError for a `top_k` that is no number of classes.
        """
        return self._predictions(paths, check_whole("top_k", top_k, 1))

    def _predictions(self, paths: Iterable[str | Path], top_k: int) -> Iterator[Prediction]:
        pending = iter(paths)
        with ThreadPoolExecutor(max(1, self._workers), "striate-predict") as pool:
            while chunk := list(islice(pending, self._batch_size)):
                read = list(pool.map(self._read, chunk))
                good = [
                    (image, str(path)) for path, image in zip(chunk, read, strict=True) if not isinstance(image, str)
                ]
                rows = iter(self._marginal.of(*zip(*good, strict=True)).probabilities if good else ())
                for path, image in zip(chunk, read, strict=True):
                    if isinstance(image, str):
                        yield Prediction(path=str(path), problem=image)
                    else:
                        yield Prediction(path=str(path), top=tuple(self.task.top(next(rows), top_k)))

    def _read(self, path: str | Path) -> list[Bases] | str:
        try:
            return self._marginal.bases(decode(read_file(Path(path)), self.preprocess.channels, str(path)))
        except BadImage as error:
            return str(error)


def find_images(arguments: Iterable[str]) -> Iterator[str]:
    """The image files that arguments name: files as they are, folders with everything below them, patterns expanded.

    A folder is seen as training sees it: through links, without what is hidden, without what holds no image. What
    cannot be read to tell is named too, so that prediction says so. Raises StriateError for an argument that names
    nothing.
    """
    for argument in arguments:
        if not argument:  # a shell's variable that is not set; Path would take it for the current folder
            raise StriateError("an image is given as '', no name at all; give a file, a folder or a pattern")
        path = Path(argument)
        if path.is_dir():
            found = _images_in(FolderSource(path))
            if not found:
                raise StriateError(f"no images in {shown(argument)}")
            yield from found
        elif path.exists():
            yield argument
        else:
            found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  # the pattern may be absolute
            if not found:
                raise StriateError(f"no file, folder or pattern {shown(argument)}")
            yield from found


def _images_in(source: FolderSource) -> list[str]:
    files, _ = source.listing()
    return [source.where(file) for file in files if not hidden(file) and _may_be_image(source, file)]


def _may_be_image(source: FolderSource, file: str) -> bool:
    """As the scan goes by: a known extension is trusted, else the first bytes tell."""
    if PurePosixPath(file).suffix.lower() in EXTENSIONS:
        return True
    try:
        return format_of(source.head(file)) is not None
    except BadImage:
        return True
