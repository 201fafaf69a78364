"""Which algorithm: a cost model to leave out the hopeless, then a measurement, once per shape and machine.

>>> from striate.conv.shape import ConvShape
>>> vgg = ConvShape.of((1, 64, 56, 56), (64, 64, 3, 3), padding=1)
>>> work(vgg, "winograd4") < work(vgg, "direct")
True
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from striate import _native
from striate.conv import cache
from striate.conv.measure import TORCH, Measurement, measure, torch_can
from striate.conv.plans import Element, Layout, Pass, algorithms, plan, refusal
from striate.conv.shape import ConvShape, WrongShape
from striate.conv.team import team_size

__all__ = [
    "MAX_RELATIVE_ERROR",
    "MAX_RELATIVE_ERROR_BF16",
    "SPLIT",
    "ask_for_ieee",
    "asked_for_ieee",
    "best_algorithm",
    "measured",
    "measured_batch",
    "possible",
    "work",
]

MAX_RELATIVE_ERROR = 1e-4
# Ten half last places of eight bits. A direct sum, rounded once, is within one; F(2×2) stays within 1e-2, F(4×4) within
# 3e-2 (docs/algorithms/bf16.md).
MAX_RELATIVE_ERROR_BF16 = 4e-2
WORKSPACE_LIMIT = 1 << 30  # bytes
BY_NAME = ("reference", "strassen")  # the one for its speed, the other because its error is bounded by norms only
SPLIT = "_bf16x3"  # each product as three of bfloat16 numbers: three times the work but in AMX's tiles,
SPEED_OF_SPLIT = 4.0  # which do so many in the time of one of float32
ENOUGH_IMAGES, ENOUGH_MACS = 4, 1 << 31  # of a batch that is measured; more only take longer, in the same proportion
AGAIN = 2.5  # times the fastest's time: a second look leaves out what is slower, as a race does after two rounds
SHORT_OUTPUTS = {2: 2, 4: 2, 5: 4, 6: 4}  # of F(m, ·)'s short tiles
HOPELESS = 4.0  # times the work of the least: beyond what any difference in efficiency makes up for


def work(shape: ConvShape, algorithm: str) -> float:
    """The cost model: multiply-adds, with what transforms and lowering cost counted as multiply-adds.

    A rough figure that need only tell the hopeless from the rest: Winograd's product of (m + k − 1)² for m² outputs and
    its transforms; FFT's four real products per complex one and 2.5 n log n of each transform; im2col's writing and
    reading of the matrix at ten multiply-adds a number.
    """
    batch, out_channels, height, width = shape.result
    _, group_in, h, w = shape.filters
    pixels, macs = batch * height * width, float(shape.macs)
    algorithm, split, _ = algorithm.partition(SPLIT)
    if split:
        macs /= SPEED_OF_SPLIT
    if split and algorithm == "direct":
        return macs * math.ceil(group_in / 32) * 32 / group_in  # maps meet in blocks
    if algorithm.startswith("winograd"):
        m, stride = int(algorithm.removeprefix("winograd")), shape.rows.stride
        h, w = math.ceil(h / stride), math.ceil(w / stride)
        components = batch * _components(height, m, h, short=not split) * _components(width, m, w, short=not split)
        size, residues = m + max(h, w) - 1, stride * stride
        # with stride 2, each axis has pixels of two residues, and one of these lacks a component
        met = ((stride * size - (stride - 1)) / size) ** 2
        products = group_in * out_channels / (SPEED_OF_SPLIT if split else 1.0)
        return components * (met * products + 2 * size * (residues * shape.in_channels + out_channels))
    if algorithm == "fft":
        extent = max(shape.rows.extent, shape.columns.extent)
        tile = 16 if extent <= 7 else 32 if extent <= 15 else 64
        step = max(1, tile - extent + 1)
        tiles = batch * math.ceil(height * shape.rows.stride / step) * math.ceil(width * shape.columns.stride / step)
        transform = 2.5 * tile * tile * 2 * math.log2(tile)
        products = tile * (tile // 2 + 1) * 4 * group_in * out_channels
        return tiles * (products + transform * (shape.in_channels + out_channels))
    if algorithm in ("im2col", "strassen"):
        return macs + 10.0 * pixels * shape.in_channels * h * w
    if algorithm == "reference":
        return 200.0 * macs
    return macs


def _components(outputs: int, m: int, taps: int, *, short: bool) -> int:
    """Of all tiles along an axis of F(m, taps), of which the last ones may be short (docs/algorithms/winograd.md)."""
    if taps == 1:
        return outputs
    shorter = SHORT_OUTPUTS[m] if short else m
    fewest = math.ceil(outputs / m) * (m + taps - 1)
    for count in range(1, m) if shorter < m else ():
        longs = math.ceil(max(0, outputs - count * shorter) / m)
        fewest = min(fewest, longs * (m + taps - 1) + count * (shorter + taps - 1))
    return fewest


def asked_for_ieee() -> bool:
    """Whether torch was told that convolutions of float32 keep to its products: `fp32_precision = "ieee"`.

    Of `torch.backends.mkldnn.conv`, or of what it takes its setting from. As torch starts, nothing is said, and the
    limit of error alone decides.
    """
    return bool(_torch_convolutions().fp32_precision == "ieee")


def ask_for_ieee() -> None:
    """Sets that, for the whole process: convolutions of float32 keep to its products."""
    _torch_convolutions().fp32_precision = "ieee"


def _torch_convolutions() -> Any:
    backend: Any = torch.backends.mkldnn  # a module whose stubs lack this
    return backend.conv


def possible(
    shape: ConvShape,
    pass_: Pass,
    from_layout: Layout,
    to_layout: Layout,
    element: Element = "float32",
    *,
    ieee: bool | None = None,
) -> list[str]:
    """The algorithms that can do it and are not hopeless by the cost model, the most promising first.

    The reference is there only if nothing else is; Strassen's product has to be asked for. In bfloat16 there may be
    none. `ieee` leaves out those that make a product of float32 of several of bfloat16; not given, torch is asked.
    """
    exact = asked_for_ieee() if ieee is None else ieee
    may_split = not exact and _native.bfloat16_unit() == "amx"
    if element == "bfloat16" and not refusal("depthwise", pass_, shape, from_layout, to_layout):
        return []  # one map a group: products of matrices would multiply zeros
    able = {
        name: work(shape, name)
        for name in algorithms()
        if name not in BY_NAME
        and (may_split or not name.endswith(SPLIT))
        and not refusal(name, pass_, shape, from_layout, to_layout, element)
    }
    if not able:
        return [] if element == "bfloat16" else ["reference"]
    least = min(able.values())
    return sorted((name for name, cost in able.items() if cost <= HOPELESS * max(least, 1.0)), key=lambda n: able[n])


def measured(
    shape: ConvShape,
    pass_: Pass,
    *,
    from_layout: Layout = "nchw",
    to_layout: Layout = "nchw",
    threads: int | None = None,
    with_torch: bool = False,
    element: Element = "float32",
    ieee: bool | None = None,
    looks: int = 1,
) -> dict[str, Measurement]:
    """What every candidate takes, from the cache or measured now.

    Of a large batch a part is measured (`measured_batch`), and its times are multiplied. With `looks` > 1, what the
    cache has seen less often is measured once more, if it may yet be the fastest; looks some seconds apart tell a slow
    algorithm from a slow moment.
    """
    threads = threads or team_size()
    candidates = possible(shape, pass_, from_layout, to_layout, element, ieee=ieee)
    if with_torch and torch_can(shape, from_layout, to_layout):
        candidates.append(TORCH)
    part = replace(shape, batch=measured_batch(shape))
    narrow = [element] if element != "float32" else []  # keys of float32 are what they were
    key = " ".join(map(str, [pass_, *part.numbers, from_layout, to_layout, *narrow]))
    known = cache.load(key, threads)
    names = candidates
    if any(name not in known for name in candidates):
        known = {}  # all of them, in turns: times of different days do not compare
    else:
        names = _seen_too_seldom(known, candidates, looks)
    if names:
        now = measure(
            part, pass_, names, from_layout=from_layout, to_layout=to_layout, threads=threads, element=element
        )
        known |= {name: known[name].and_later(m) if name in known else m for name, m in now.items()}
        cache.store(key, threads, known)
    if part == shape:
        return {name: known[name] for name in candidates}

    def bytes_needed(name: str) -> int:
        if name == TORCH:
            return known[name].workspace_bytes
        return plan(
            shape, name, pass_, from_layout=from_layout, to_layout=to_layout, threads=threads, element=element
        ).bytes_needed

    return {name: known[name].of_more(shape.batch / part.batch, bytes_needed(name)) for name in candidates}


def _seen_too_seldom(known: Mapping[str, Measurement], candidates: Sequence[str], looks: int) -> list[str]:
    """Those that may be the fastest, to be measured in turns, if one of them had fewer looks; else none."""
    near = set[str]()
    for packed in (False, True):
        seconds = {name: known[name].of(packed=packed) for name in candidates}
        near |= {name for name, taken in seconds.items() if taken <= AGAIN * min(seconds.values())}
    few = any(known[name].looks < looks for name in near)
    return [name for name in candidates if few and name in near]


def measured_batch(shape: ConvShape) -> int:
    """How many of the images of a batch are measured: four, or as many more as make a run some tens of milliseconds.

    >>> measured_batch(ConvShape.of((64, 64, 56, 56), (64, 64, 3, 3), padding=1))
    19
    """
    macs = max(shape.macs // max(shape.batch, 1), 1)
    return min(shape.batch, max(ENOUGH_IMAGES, -(-ENOUGH_MACS // macs)))


@lru_cache(maxsize=4096)
def best_algorithm(
    shape: ConvShape,
    pass_: Pass = "forward",
    *,
    from_layout: Layout = "nchw",
    to_layout: Layout = "nchw",
    threads: int | None = None,
    max_rel_error: float | None = None,
    workspace_limit: int = WORKSPACE_LIMIT,
    with_torch: bool = False,
    packed: bool = False,
    element: Element = "float32",
    ieee: bool = False,
) -> str:
    """The fastest candidate within the limits of error and workspace, with weights packed before or in the run.

    `max_rel_error` is MAX_RELATIVE_ERROR if not given, or MAX_RELATIVE_ERROR_BF16. In bfloat16 some candidate must be
    possible. `ieee` as in `possible`.

    Where measuring is switched off (STRIATE_CONV_MEASURE=0): torch if it is a candidate, else the cost model's first.
    Where nothing is within the limits, the candidate that needs the least workspace.
    """
    if shape.macs == 0:
        return "reference"
    if os.environ.get("STRIATE_CONV_MEASURE") == "0":
        return (
            TORCH
            if with_torch and torch_can(shape, from_layout, to_layout)
            else possible(shape, pass_, from_layout, to_layout, element, ieee=ieee)[0]
        )
    if max_rel_error is None:
        max_rel_error = MAX_RELATIVE_ERROR_BF16 if element == "bfloat16" else MAX_RELATIVE_ERROR
    known = measured(
        shape, pass_, from_layout=from_layout, to_layout=to_layout, threads=threads, with_torch=with_torch,
        element=element, ieee=ieee,
    )  # fmt: skip
    within = {
        name: m
        for name, m in known.items()
        if m.relative_error <= max_rel_error and m.workspace_bytes <= workspace_limit
    }
    if not within:
        return min(known, key=lambda name: known[name].workspace_bytes)
    return min(within, key=lambda name: within[name].of(packed=packed))


def error_bound(shape: ConvShape, pass_: Pass, algorithm: str, element: Element = "float32") -> float:
    """The algorithm's bound on the error of a result, in units of 2⁻²⁴ · the largest Σ|a||b|."""
    if algorithm not in algorithms():
        raise WrongShape(f"torch states no error bound; algorithms do: {', '.join(algorithms())}")
    if element == "bfloat16":
        return _native.bfloat16_error_bound(algorithm, pass_, shape.numbers)
    return _native.conv_error_bound(algorithm, pass_, shape.numbers)
