"""Classification: one of K classes for an image.

Softmax lives in the loss (cross entropy on logits, with label smoothing as Szegedy 2016, section 7) and in `decode`.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

__all__ = ["Classification", "ClassificationMetrics"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationMetrics:
    """Measures over a whole part. `loss` is the mean −log p(true class), without smoothing, in nats; a p below the
    smallest float32 counts as that, 87.3 nats."""

    samples: int
    loss: float
    accuracy: float
    top5: float | None  # None for five classes or fewer
    confusion: NDArray[np.int64]  # int64 [K, K]: rows are the true class, columns the predicted one


class Classification:
    """The head's K logits against one class index per image."""

    def __init__(self, classes: tuple[str, ...], *, label_smoothing: float = 0.0) -> None:
        self.classes = classes
        self.chance_loss = math.log(max(2, len(classes)))
        self._label_smoothing = label_smoothing

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Cross entropy of logits [B, K] against class indices int64 [B]."""
        return F.cross_entropy(prediction.float(), target, label_smoothing=self._label_smoothing)

    def mixed_loss(self, prediction: Tensor, target: Tensor, other: Tensor, share: Tensor) -> Tensor:
        """Cross entropy against two class indices int64 [B] each, by shares float32 [B]; equal to that of the mixed
        distribution, because the loss is linear in it."""
        scores = prediction.float()
        one, two = (
            F.cross_entropy(scores, labels, label_smoothing=self._label_smoothing, reduction="none")
            for labels in (target, other)
        )
        return (share * one + (1 - share) * two).mean()

    def correct(self, prediction: Tensor, target: Tensor) -> Tensor:
        """How many of the batch have their largest logit at the true class."""
        return (prediction.argmax(1) == target).sum()

    def decode(self, prediction: Tensor) -> Tensor:
        """Class probabilities float32 [B, K]."""
        return prediction.float().softmax(1)

    def metrics(self, decoded: NDArray[Any], target: NDArray[Any]) -> ClassificationMetrics:
        """Measures from probabilities [N, K] and class indices [N]; all zero for an empty part."""
        classes, samples = len(self.classes), len(target)
        if samples == 0:
            empty = np.zeros((classes, classes), np.int64)
            return ClassificationMetrics(samples=0, loss=0.0, accuracy=0.0, top5=None, confusion=empty)
        true = decoded[np.arange(samples), target].astype(np.float64)
        predicted = decoded.argmax(1)
        confusion = np.bincount(target * classes + predicted, minlength=classes * classes).reshape(classes, classes)
        # Ties rank by class, as in `predicted` and `top`: a net so sure that all other classes have exactly 0, which
        # float32's softmax reaches at differences of 104, has not named the true one second.
        own = decoded[np.arange(samples), target][:, None]
        better = ((decoded > own) | ((decoded == own) & (np.arange(classes) < target[:, None]))).sum(1)
        return ClassificationMetrics(
            samples=samples,
            loss=0.0 - float(np.log(np.clip(true, np.finfo(np.float32).tiny, 1.0)).mean()),  # 0 − 0 is 0, and −0 is not
            accuracy=float((predicted == target).mean()),
            top5=float((better < 5).mean()) if classes > 5 else None,
            confusion=confusion,
        )

    def top(self, probabilities: NDArray[Any], k: int) -> list[tuple[str, float]]:
        """The k most probable classes of one image, most probable first."""
        order = np.argsort(-probabilities, kind="stable")[:k]
        return [(self.classes[index], float(probabilities[index])) for index in order]

    def draw(self, image: NDArray[np.uint8], probabilities: NDArray[Any]) -> NDArray[np.uint8]:
        """The image uint8 [H, W, C], as RGB, with the likeliest class written under it."""
        height, width = image.shape[:2]
        picture = Image.fromarray(image.squeeze()).convert("RGB")
        sheet = Image.new("RGB", (max(width, 160), height + 16), "white")
        sheet.paste(picture, (0, 0))
        (name, probability), *_ = self.top(probabilities, 1)
        ImageDraw.Draw(sheet).text((2, height + 2), f"{name} {probability:.1%}", fill="black")
        return np.asarray(sheet)
