"""Receptive fields where elements come from other places than their own: sorted, summed up, looked up, written there.

Along the dimensions that an operator mixes, every element sees everything; along the others it stays where it is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from striate.nets.inspect.graph import Operation, values_in
from striate.nets.inspect.seen import Factor, Seen, join, length

__all__ = ["Look", "along", "everywhere", "indexed", "mixed", "repeated", "written_into"]

Look = Callable[[Any], Seen | None]

# Which argument says along what; the first after the tensor where nothing is said here.
DIM_AT = {"roll": 2, "topk": 2, "slice_scatter": 2, "select_scatter": 2}
BY_DEFAULT: dict[str, Any] = {"roll": (), "slice_scatter": 0}  # roll turns all as one; the last dimension otherwise


def mixed(seen: Seen, dims: Iterable[int], shape: Sequence[int]) -> Seen:
    """A tensor of `shape` whose elements come from anywhere along `dims`, and along any other that has changed."""
    if len(shape) != len(seen.dims):
        return seen.everything(shape)
    changed = {d for d, n in enumerate(shape) if length(seen.dims[d]) != n}
    moved = changed | {d % len(shape) for d in dims}
    found = seen.summed(moved, keep=True)
    for d in moved:
        found = found.resized(d, (Factor(shape[d]),))
    return found


def everywhere(op: Operation, look: Look) -> list[Seen | None]:
    """Nothing is known of the places: every element sees all that any input sees."""
    known = [one.everything(()) for value in op.inputs if (one := look(value)) is not None]
    return [join(known, ()).everything(output.shape) if known else None for output in op.outputs]


def along(op: Operation, look: Look) -> Seen | None:
    """Turned, rolled, sorted, summed up on the way, looked up: an element comes from anywhere along some dimensions."""
    shape, dims = op.outputs[0].shape, _dims(op)
    seen = look(op.args[0])
    return _met(seen and mixed(seen, dims or range(len(shape)), shape), op.args[1:], look, shape)


def indexed(op: Operation, look: Look) -> Seen | None:
    """`x[:, places]`: mixed along one dimension, or everything for several at once and for masks of several."""
    seen, shape = look(op.args[0]), op.outputs[0].shape
    at = [(d, index) for d, index in enumerate(op.args[1]) if index is not None]
    if seen is not None:
        simple = len(at) == 1 and len(at[0][1].shape) == 1
        seen = mixed(seen, [at[0][0]], shape) if simple else seen.everything(shape)
    return _met(seen, op.args[1], look, shape)


def written_into(op: Operation, look: Look) -> Seen | None:
    """The first tensor, into which another is written at places that nobody follows: beside its own it sees those."""
    base, shape = look(op.args[0]), op.outputs[0].shape
    known = [] if base is None else [base]
    for value in values_in(op.args[1:]):
        one = look(value)
        if one is not None:
            whole = op.name.startswith(("index_put", "_", "masked")) or len(value.shape) != len(shape)
            known.append(one.everything(shape) if whole else mixed(one, _dims(op), shape))
    return join(known, shape) if known else None


def repeated(op: Operation, look: Look) -> Seen | None:
    """The whole, several times over along some dimensions, which may be new."""
    seen, shape = look(op.args[0]), op.outputs[0].shape
    if seen is None:
        return None
    new = ((Factor(1),),) * (len(shape) - len(seen.dims))
    return mixed(replace(seen, dims=(*new, *seen.dims)), (), shape)


def _met(seen: Seen | None, indices: Any, look: Look, shape: Sequence[int]) -> Seen | None:
    """With what the indices see, where these come from the input: they are looked up at places that nobody follows."""
    known = [one.everything(shape) for value in values_in(indices) if (one := look(value)) is not None]
    known += [] if seen is None else [seen]
    return join(known, shape) if known else None


def _dims(op: Operation) -> list[int]:
    name = op.name.rstrip("_")
    place = DIM_AT.get(name, 1)
    given = op.args[place] if len(op.args) > place else op.kwargs.get("dim", BY_DEFAULT.get(name, -1))
    return list(given) if isinstance(given, tuple) else [given]
