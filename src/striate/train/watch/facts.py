"""What rules have to know of a run besides its series: how many classes, what a guess would reach, which noise."""

import math
from typing import Any

import numpy as np
from torch import nn

from striate.data import Dataset, Samples
from striate.train.settings import Settings

__all__ = ["facts_of"]


def facts_of(settings: Settings, data: Dataset, net: nn.Module) -> dict[str, Any]:
    """Written into the log when the run starts, so that its log alone can be judged later."""
    return {
        "classes": len(data.classes),
        "chance_loss": round(math.log(max(2, len(data.classes))), 4),
        "train": len(data.train),
        "val": 0 if data.val is None else len(data.val),
        "commonest": round(_commonest(data.train if data.val is None else data.val), 4),
        "batch": settings.batch_size,
        "label_smoothing": settings.label_smoothing,
        "dropout": max((float(getattr(m, "p", 0.0)) for m in net.modules() if _drops(m)), default=0.0),
        "noise": bool(settings.noise.get("noises")),
        "mixed": bool(settings.mixup or settings.cutmix),
        "weight_decay": settings.weight_decay,
        "schedule": settings.schedule,
        "lr": settings.lr,
        "pretrained": settings.pretrained is not None,
        "clip_grad": settings.clip_grad,
    }


def _drops(module: nn.Module) -> bool:
    return "drop" in type(module).__name__.lower()


def _commonest(samples: Samples) -> float:
    """The share of the commonest class: what always giving one answer reaches."""
    counts = np.bincount(samples.labels)
    return float(counts.max() / max(1, counts.sum()))
