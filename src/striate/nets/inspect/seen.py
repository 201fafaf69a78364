"""What the elements of one tensor see of the input, and how that moves with the tensor's dimensions.

Every dimension of a tensor is a product of factors; a factor lies along an axis of the input, one step being `jump` px,
or along none (channels, batch). A feature map is (batch, channels, rows, columns); flattened to tokens, its last
dimension is the product rows × columns; a shuffled pixel is a factor that has changed its dimension. Per axis there is
one span: what the element at index 0 sees. So a reshape loses nothing, and summing over a dimension widens the span by
what the dimension ran over.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from striate.arithmetic import Field, hull

__all__ = ["Factor", "Seen", "join", "length", "overwritten", "product", "side_by_side"]

Number = int | Fraction


@dataclass(frozen=True)
class Factor:
    """`n` steps of `jump` px along input axis `axis`; along none when that is None."""

    n: int
    axis: int | None = None
    jump: Number = 0


Dim = tuple[Factor, ...]


@dataclass(frozen=True)
class Seen:
    """`dims` as factors; `spans[axis]` is (size, start) in px of what the first element sees."""

    dims: tuple[Dim, ...]
    spans: tuple[tuple[Number, Number], ...]

    @classmethod
    def image(cls, shape: Sequence[int], axes: Sequence[int]) -> "Seen":
        """The input itself, whose dimensions `axes` are the axes."""
        dims = tuple((Factor(n, axes.index(d), 1),) if d in axes else (Factor(n),) for d, n in enumerate(shape))
        return cls(dims, ((1, 0),) * len(axes))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The receptive field along each axis; the jump is 0 where all elements see the same."""
        return tuple(self._field(axis) for axis in range(len(self.spans)))

    def _field(self, axis: int) -> Field:
        jumps = [factor.jump for dim in self.dims for factor in dim if factor.axis == axis]
        size, start = self.spans[axis]
        return Field(size=size, jump=min(jumps, default=0), start=start)

    def windowed(self, dim: int, taps: Number, *, step: Number, first: Number, n: int) -> "Seen":
        """A window along one dimension: `n` outputs over `taps` elements, the first at `first`, each `step` on."""
        place = _single(self.dims[dim])
        if place is None:
            return self.summed([dim], keep=True).resized(dim, (Factor(n),))
        if place.axis is None:
            return self.resized(dim, (Factor(n),))
        size, start = self.spans[place.axis]
        field = Field(size, place.jump, start).taken(taps, step=step, first=first)
        moved = self.resized(dim, (Factor(n, place.axis, field.jump),))
        return moved.spanning(place.axis, field.size, field.start)

    def summed(self, dims: Iterable[int], *, keep: bool) -> "Seen":
        """Elements that see all of `dims` together: a sum, a mean, a maximum."""
        found, gone = self, set(dims)
        for dim in gone:
            for factor in self.dims[dim]:
                if factor.axis is not None:
                    found = found.widened(factor)
        left = tuple((Factor(1),) if d in gone else dim for d, dim in enumerate(self.dims) if keep or d not in gone)
        return replace(found, dims=left)

    def everything(self, shape: Sequence[int]) -> "Seen":
        """A tensor of `shape` whose elements see all that these see."""
        flat = self.summed(range(len(self.dims)), keep=False)
        return replace(flat, dims=tuple((Factor(n),) for n in shape))

    def viewed(self, shape: Sequence[int]) -> "Seen":
        """The same elements in another shape."""
        queue = [factor for dim in self.dims for factor in dim if factor.n != 1][::-1]
        dims: list[Dim] = []
        for side in shape:
            taken: list[Factor] = []
            while side > 1:
                if not queue:
                    return self.everything(shape)
                factor = queue.pop()
                if side % factor.n and factor.n % side:
                    return self.everything(shape)
                if factor.n > side:
                    inner = factor.n // side
                    queue.append(replace(factor, n=inner))
                    factor = replace(factor, n=side, jump=factor.jump * inner)
                side //= factor.n
                taken.append(factor)
            dims.append(_merged(taken) or (Factor(1),))
        return replace(self, dims=tuple(dims))

    def reordered(self, order: Sequence[int]) -> "Seen":
        """Dimensions in another order."""
        return replace(self, dims=tuple(self.dims[d] for d in order))

    def resized(self, dim: int, factors: Dim) -> "Seen":
        """Another dimension in the place of `dim`."""
        return replace(self, dims=(*self.dims[:dim], factors, *self.dims[dim + 1 :]))

    def spanning(self, axis: int, size: Number, start: Number) -> "Seen":
        """The same dimensions with another span along one axis."""
        return replace(self, spans=(*self.spans[:axis], (size, start), *self.spans[axis + 1 :]))

    def widened(self, factor: Factor) -> "Seen":
        """With the span of what `factor` runs over."""
        if factor.axis is None:
            return self
        size, start = self.spans[factor.axis]
        return self.spanning(factor.axis, size + (factor.n - 1) * factor.jump, start)

    def still(self, axis: int) -> "Seen":
        """Nothing moves along an axis any more: every element sees what all together saw."""
        found = self
        for d, dim in enumerate(self.dims):
            for factor in dim:
                if factor.axis == axis:
                    found = found.widened(factor)
            found = found.resized(d, tuple(Factor(f.n) if f.axis == axis else f for f in dim))
        return found


def join(seen: Sequence[Seen], shape: Sequence[int]) -> Seen:
    """Tensors that meet element by element, broadcast to `shape`: the hull of what each sees.

    Where one moves along an axis and another sees the same everywhere (a gate made of a global mean), all see all.
    """
    if len(seen) == 1 and tuple(map(length, seen[0].dims)) == tuple(shape):
        return seen[0]
    padded = [replace(one, dims=((Factor(1),),) * (len(shape) - len(one.dims)) + one.dims) for one in seen]
    for axis in range(len(seen[0].spans)):
        places = {_places(one, axis) for one in padded}
        if len(places) > 1:
            padded = [one.still(axis) for one in padded]
    dims = tuple(
        max((one.dims[d] for one in padded), key=lambda dim: (length(dim) == n, any(f.axis is not None for f in dim)))
        if any(length(one.dims[d]) == n for one in padded)
        else (Factor(n),)
        for d, n in enumerate(shape)
    )
    joined = Seen(dims, padded[0].spans)
    for axis in range(len(joined.spans)):
        n = max((f.n for dim in dims for f in dim if f.axis == axis), default=1)
        size, start = (lambda field: (field.size, field.start))(hull([one.fields[axis] for one in padded], n))
        joined = joined.spanning(axis, size, start)
    return joined


def product(a: Seen | None, b: Seen | None, shape: Sequence[int]) -> Seen | None:
    """A product of matrices [..., i, k] × [..., k, j]; one of them may be parameters, which see nothing.

    An axis that is summed over and also left standing (every token attends to every token) stands still afterwards.
    """
    if a is not None and b is not None:
        for factor in [f for f in a.dims[-1] + b.dims[-2] if f.axis is not None]:
            a, b = _standing(a, factor), _standing(b, factor)
        met = join([replace(a, dims=a.dims[:-2]), replace(b, dims=b.dims[:-2])], shape[:-2])
        return replace(met, dims=(*met.dims, a.dims[-2], b.dims[-1]))
    one = a or b
    if one is None:
        return None
    summed, kept = (len(one.dims) - 1, -2) if a is not None else (len(one.dims) - 2, -1)
    stays, wide = one.dims[kept], one.summed([summed], keep=True)
    dims: list[Dim] = [(Factor(n),) for n in shape]
    dims[: len(shape) - 2] = wide.dims[: len(shape) - 2]
    dims[kept] = stays
    return replace(wide, dims=tuple(dims))


def side_by_side(seen: Sequence[Seen], dim: int, shape: Sequence[int]) -> Seen:
    """Tensors one after another along `dim`: along an axis, each carries on where the last ended."""
    places = [_single(one.dims[dim]) for one in seen]
    along = {(place.axis, place.jump) for place in places if place is not None}
    if None in places or len(along) != 1:
        return join([one.summed([dim], keep=True) for one in seen], [*shape[:dim], 1, *shape[dim + 1 :]]).resized(
            dim, (Factor(shape[dim]),)
        )
    axis, jump = along.pop()
    shifted, before = [], 0
    for one, place in zip(seen, places, strict=True):
        if axis is not None:
            size, start = one.spans[axis]
            one = one.spanning(axis, size, start - before * jump)
        shifted.append(one.resized(dim, (Factor(1),)) if axis is None else one.resized(dim, (Factor(1, axis, jump),)))
        before += place.n if place else 0
    return join(shifted, [*shape[:dim], 1, *shape[dim + 1 :]]).resized(dim, (Factor(shape[dim], axis, jump),))


def overwritten(other: Seen | None, before: Seen | None, after: Seen, shape: Sequence[int]) -> Seen:
    """What `other`, a tensor of `shape`, sees after something was written into memory that it may share.

    The written tensor saw `before` and sees `after`. Where all three move alike along every axis (some channels of a
    map were written), a place sees what is written at that place; else any place may see all that was written.
    """
    if other is None:
        return after.everything(shape)
    alike = before is not None and before.spans == other.spans and _moves(before) == _moves(after) == _moves(other)
    return join([other, Seen(other.dims, after.spans) if alike else after.everything(shape)], shape)


def _moves(one: Seen) -> list[tuple[int, int, Factor]]:
    """Every factor along an axis, and where it is, counted from the last dimension."""
    return [
        (d - len(one.dims), i, factor)
        for d, dim in enumerate(one.dims)
        for i, factor in enumerate(dim)
        if factor.axis is not None
    ]


def _standing(one: Seen, factor: Factor) -> Seen:
    """`one` with every dimension that moves as `factor` does made to stand still; they run over the same pixels."""
    if not any(f == factor for dim in one.dims for f in dim):
        return one
    dims = tuple(tuple(Factor(f.n) if f == factor else f for f in dim) for dim in one.dims)
    return replace(one.widened(factor), dims=dims)


def _places(one: Seen, axis: int) -> tuple[tuple[int, int], ...]:
    """In which dimensions a tensor moves along an axis, counted from the last."""
    return tuple(
        (d - len(one.dims), i) for d, dim in enumerate(one.dims) for i, factor in enumerate(dim) if factor.axis == axis
    )


def _single(dim: Dim) -> Factor | None:
    """A dimension as one factor: itself, or an axis whose steps are each repeated (a shuffled pixel); else None."""
    if len(dim) == 1:
        return dim[0]
    if all(factor.axis is None for factor in dim):
        return Factor(length(dim))
    if dim[0].axis is not None and all(factor.axis is None for factor in dim[1:]):
        inner = length(dim[1:])
        return Factor(dim[0].n * inner, dim[0].axis, Fraction(dim[0].jump) / inner)
    return None


def _merged(factors: Sequence[Factor]) -> Dim:
    """Neighbours that step on from one another as one factor."""
    merged: list[Factor] = []
    for factor in factors:
        last = merged[-1] if merged else None
        if last and last.axis == factor.axis and last.jump == factor.jump * factor.n:
            merged[-1] = replace(factor, n=last.n * factor.n)
        else:
            merged.append(factor)
    return tuple(merged)


def length(dim: Dim) -> int:
    """How many elements a dimension has."""
    return math.prod(factor.n for factor in dim)
