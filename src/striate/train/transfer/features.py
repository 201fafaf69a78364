"""What the layers of a net see of images: a row of numbers for each image and layer, all layers in one pass.

    image ─ views ─ net ─▶ maps [C, h, w] ─ pooled ─▶ [C] ─ Σ over views of weight · ─▶ a row ─ (divided by its length)

Donahue et al. 2014 ("DeCAF") and Razavian et al. 2014 put classifiers on such rows, the latter on rows of length one.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from striate.augment.view import View
from striate.data import Preprocess, Samples
from striate.errors import StriateError, UnknownName, unknown
from striate.nets import Net
from striate.nets.cut import INPUT
from striate.nets.trace import Path
from striate.train.ahead import rows_ahead
from striate.train.looks import Looks

__all__ = ["Pool", "Way", "check_places", "extract", "pooled", "unit"]

Pool = Literal["mean", "max", "flatten"]
Rows = NDArray[np.float32]  # [N, D]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """How images are looked at, and maps made into rows. `views` are averaged: their weights sum to 1."""

    preprocess: Preprocess
    views: tuple[View, ...] = (View(),)
    pool: Pool = "mean"

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise UnknownName(unknown("pool", str(self.pool), get_args(Pool)))


def extract(
    net: Net,
    places: Sequence[str],
    images: Samples,
    way: Way,
    *,
    batch_size: int = 64,
    workers: int = 2,
    device: str | torch.device = "cpu",
) -> dict[str, Rows]:
    """float32 [N, D] for each place: a module's name, or that and ":in" for what it is given.

    The net is in evaluation mode and keeps no graph. Raises StriateError for a place that the net has not or does not
    come by, and for a row that is not finite, naming the image.
    """
    check_places(net, places)
    looks = Looks(way.preprocess, way.views)
    count = max(1, batch_size // len(way.views))
    chunks = [range(i, min(i + count, len(images))) for i in range(0, len(images), count)]
    found: dict[str, list[Rows]] = {place: [] for place in places}
    net.to(device)
    path, training = Path(net), net.training
    net.eval()
    try:
        with (
            torch.inference_mode(),
            _caught(net, places) as caught,
            rows_ahead(images, chunks, [looks], workers=workers) as prepared,
        ):
            for numbers, (all_rows,) in zip(chunks, prepared, strict=True):
                sums: dict[str, Tensor] = {}
                for rows in all_rows:
                    caught.clear()
                    path(rows.images.to(device, non_blocking=True))
                    owners = torch.from_numpy(rows.owners).to(device)
                    weights = torch.from_numpy(rows.weights).to(device, torch.float32)
                    for place in places:
                        seen = pooled(caught[place], way.pool)
                        if place not in sums:
                            sums[place] = seen.new_zeros((len(numbers), seen.shape[1]))
                        sums[place].index_add_(0, owners, seen * weights[:, None])
                for place, total in sums.items():
                    found[place].append(_finite(total.cpu().numpy(), place, images, numbers))
    finally:
        net.train(training)
    return {place: np.concatenate(parts) for place, parts in found.items()}


def check_places(net: Net, places: Sequence[str]) -> None:
    """Raises StriateError, with the nearest name, for a place that no module of the net has."""
    known = [name for name, _ in net.named_modules() if name]
    for place in places:
        if place.removesuffix(INPUT) not in known:
            raise UnknownName(unknown(f"layer of {net.spec.name}", place, known))


def pooled(maps: Tensor, pool: Pool) -> Tensor:
    """[N, C, …] → [N, D]: a value for each map, or all of them in a row."""
    if maps.ndim == 2 or pool == "flatten":
        return maps.flatten(1).float()
    flat = maps.flatten(2)  # N × C × hw
    return (flat.mean(2) if pool == "mean" else flat.amax(2)).float()


def unit(rows: Rows) -> Rows:
    """The rows, each divided by its Euclidean length; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    divided: Rows = rows / np.maximum(length, np.finfo(np.float32).tiny)
    return divided


@contextlib.contextmanager
def _caught(net: nn.Module, places: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What the places hold after each pass: the first call of a module counts, where it is called twice."""
    caught: dict[str, Tensor] = _Caught()
    handles = []
    named = dict(net.named_modules())
    for place in places:
        module = named[place.removesuffix(INPUT)]

        def keep(_: nn.Module, given: tuple[Any, ...], gave: Any = None, *, place: str = place) -> None:
            value = given[0] if place.endswith(INPUT) else gave
            if isinstance(value, Tensor):
                caught.setdefault(place, value)

        register = module.register_forward_pre_hook if place.endswith(INPUT) else module.register_forward_hook
        handles.append(register(keep))
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


class _Caught(dict[str, Tensor]):
    def __missing__(self, place: str) -> Tensor:
        raise StriateError(f"layer {place!r} gives no feature maps when an image goes through; choose another layer")


def _finite(rows: Rows, place: str, images: Samples, numbers: range) -> Rows:
    wrong = ~np.isfinite(rows).all(1)
    if wrong.any():
        name = images.name(numbers[int(wrong.argmax())])
        raise StriateError(f"layer {place} answers {name} with NaN: the weights are damaged; use another copy")
    return rows
