"""What each of our algorithms needs beside images and result, next to its time: im2col's K²-fold copy, and what it
buys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from striate import conv
from striate.bench.layer import Layer
from striate.bench.ours import ORACLE, Candidate, Ours, Tensors
from striate.bench.problem import Problem
from striate.bench.subject import CannotDo
from striate.bench.timing import Spread, interleave, spread
from striate.conv.plans import Layout

__all__ = ["Need", "measure"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """One algorithm on one layer. `images_nbytes` is what the images themselves take."""

    layer: Layer
    batch: int
    algorithm: str
    workspace_nbytes: int
    packed_nbytes: int
    images_nbytes: int
    flops: int
    error: float
    seconds: Spread

    @property
    def folds(self) -> float:
        """The workspace as a multiple of the images: K² for im2col at its plainest (stride 1)."""
        return self.workspace_nbytes / self.images_nbytes


def measure(
    layers: Sequence[Layer], batch: int, *, threads: int, rounds: int, layout: Layout = "nchw"
) -> Iterator[list[Need]]:
    """Every algorithm that can do a layer, timed in turns, layer after layer."""
    for layer in layers:
        problem = Problem(layer=layer, batch=batch, threads=threads)
        subjects, tensors = {}, Tensors(problem)
        for name in conv.algorithms():
            if name == ORACLE:
                continue
            try:
                subjects[name] = Ours(problem, Candidate(name, layout), tensors)
            except CannotDo:
                continue
        errors = {}
        for name, subject in subjects.items():
            subject.run()
            errors[name] = problem.error(subject.result())
        samples = interleave({name: subject.run for name, subject in subjects.items()}, rounds)
        yield [
            Need(
                layer=layer,
                batch=batch,
                algorithm=name,
                workspace_nbytes=subject.workspace_bytes,
                packed_nbytes=subject.packed_bytes,
                images_nbytes=problem.x.nbytes,
                flops=problem.flops,
                error=errors[name],
                seconds=spread(samples[name]),
            )
            for name, subject in subjects.items()
        ]
