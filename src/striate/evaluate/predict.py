"""What a trained net says about images it is handed: files, folders, patterns.

Reading, orienting, resizing and normalising are those of the model file, hence those of training and evaluation.
"""

import dataclasses
import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import torch

from striate.data import BadImage, Preprocess
from striate.data.decode import decode
from striate.data.formats import EXTENSIONS
from striate.errors import StriateError
from striate.nets.trained import load_trained
from striate.tasks import Classification

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
    ) -> None:
        """`classes` names what the net answers, in place of the model's own; `offline` fetches no weights.

        Raises StriateError when the file is not a model.
        """
        self._net, card = load_trained(model, classes=classes, offline=offline)
        self._net.to(device).eval()
        self.task = Classification(tuple(card.classes))
        self.preprocess = Preprocess.from_dict(dict(card.preprocess))
        self._device, self._workers, self._batch_size = device, workers, batch_size

    def predict(self, paths: Iterable[str | Path], *, top_k: int = 5) -> Iterator[Prediction]:
        """One prediction for each path, in order; a file that cannot be read becomes a problem and stops nothing."""
        pending = iter(paths)
        with ThreadPoolExecutor(max(1, self._workers), "striate-predict") as pool:
            while chunk := list(islice(pending, self._batch_size)):
                tensors = list(pool.map(self._tensor, chunk))
                images = [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]
                answers = iter(self.probabilities(torch.stack(images)).numpy() if images else ())
                for path, tensor in zip(chunk, tensors, strict=True):
                    if isinstance(tensor, str):
                        yield Prediction(path=str(path), problem=tensor)
                    else:
                        yield Prediction(path=str(path), top=tuple(self.task.top(next(answers), top_k)))

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Preprocessed images float32 [B, C, H, W] → class probabilities float32 [B, K]."""
        with torch.inference_mode():
            return self.task.decode(self._net(images.to(self._device))).cpu()

    def _tensor(self, path: str | Path) -> torch.Tensor | str:
        try:
            image = decode(Path(path).read_bytes(), self.preprocess.channels, str(path))
            return self.preprocess.tensor(image)
        except OSError as error:
            return f"{path}: {error.strerror}"
        except BadImage as error:
            return str(error)


def find_images(arguments: Iterable[str]) -> Iterator[str]:
    """The image files that arguments name: files as they are, folders with everything below them, patterns expanded.

    Raises StriateError for an argument that names nothing.
    """
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            found = [
                str(file)
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in EXTENSIONS and file.is_file() and not file.name.startswith(".")
            ]
            if not found:
                raise StriateError(f"no images in {argument}")
            yield from found
        elif path.exists():
            yield argument
        else:
            found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  # the pattern may be absolute
            if not found:
                raise StriateError(f"no file, folder or pattern {argument}")
            yield from found
