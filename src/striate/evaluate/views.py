"""Which views testing averages: crops by scales, as the papers count them.

    crops    1   the centre                                          2   and its mirror image
             5   four corners and the centre (Krizhevsky 2012, §4.1)  10  and their mirror images
    scales   the image resized until its short side has 224, 256, 384, 480 or 640 px (He 2015, §3.4), for a window
             of 224; for another window in proportion

Ten crops at five scales are fifty views, a fiftieth each.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from striate.augment.places import CENTRE, CORNERS, SIDES, WINDOW, in_proportion
from striate.augment.view import View
from striate.data import Preprocess
from striate.errors import StriateError, UnknownName, given, unknown
from striate.pages.wording import plural
from striate.plain import plain, whole

__all__ = ["NAMED", "Plan", "Scales", "views"]

Scales: TypeAlias = int | Sequence[int]  # how many of the paper's, or the short sides themselves, px

MORE = (256, *(side for side in SIDES if side != 256))  # as more scales add them: one scale is Krizhevsky's 256
LOOKS: Mapping[int, tuple[tuple[tuple[float, float], ...], tuple[bool, ...]]] = MappingProxyType(
    {
        1: ((CENTRE,), (False,)),
        2: ((CENTRE,), (False, True)),
        5: ((*CORNERS, CENTRE), (False,)),
        10: ((*CORNERS, CENTRE), (False, True)),
    }
)


def views(crops: int = 10, scales: Scales = 5, *, window: int = WINDOW) -> tuple[View, ...]:
    """Crops × scales, equally weighted, for a net that reads `window`×`window` px.

    >>> fifty = views()
    >>> len(fifty), sorted({view.short_side for view in fifty})
    (50, [224, 256, 384, 480, 640])
    >>> [view.short_side for view in views(crops=1, scales=3, window=64)]      # in proportion
    [64, 73, 110]

    `scales` may be the short sides themselves, px; those smaller than the window are left out, since no window fits.
    Raises StriateError for another number of crops or scales, and where no scale is left.
    """
    if crops not in LOOKS:
        raise StriateError(f"crops is {crops!r}; give 1, 2 (a mirror image), 5 or 10")
    sides = _sides(scales, window)
    places, flips = LOOKS[crops]
    share = 1 / (len(sides) * crops)
    return tuple(
        View(short_side=side, place=place, flip=flip, weight=share)
        for side in sides
        for flip in flips
        for place in places
    )


def _sides(scales: Scales, window: int) -> list[int]:
    if isinstance(scales, int):
        if not 1 <= scales <= len(MORE):
            raise StriateError(f"scales is {scales!r}; give 1 to {len(MORE)}, or the short sides in px: 224,256")
        return sorted(in_proportion(side, window) for side in MORE[:scales])
    sides = sorted({side for side in map(whole, scales) if side is not None and side >= 1})
    if len(sides) < max(1, len(set(scales))):
        raise StriateError(f"scales is {given(tuple(scales))}; give short sides in whole pixels")
    kept = [side for side in sides if side >= window]
    if not kept:
        raise StriateError(
            f"scales {_listed(sides)} are all smaller than the {window} px that the net reads; give larger ones"
        )
    return kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is averaged over, before it is known what the net reads.

    `dense`: no crops, but every place of the whole image at once, through the net as a convolution; `crops` 1 or 2 then
    say whether its mirror image counts. `trained`: the views that the model's own noise states for testing, in place of
    crops and scales.
    """

    crops: int = 1
    scales: Scales = 1
    dense: bool = False
    trained: bool = False

    def __post_init__(self) -> None:
        scales = plain(self.scales, tuple)
        if isinstance(scales, bool) or not isinstance(scales, int | tuple):
            raise StriateError(
                f"scales is {given(self.scales)}; give 1 to {len(MORE)}, or the short sides in px: (224, 256)"
            )
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "crops", plain(self.crops))
        if self.dense and self.crops not in (1, 2):
            raise StriateError(
                f"crops is {self.crops!r} with dense views, which see every crop; give 1, or 2 to mirror"
            )
        views(self.crops, self.scales if isinstance(self.scales, int) else (max(self.scales, default=0),), window=1)

    @classmethod
    def named(cls, name: str) -> "Plan":
        """The plan of that name. Raises StriateError with the nearest name for one that is not known."""
        if name not in NAMED:
            raise UnknownName(unknown("views", name, NAMED))
        return NAMED[name]

    def views(self, preprocess: Preprocess, trained: tuple[View, ...] = ()) -> tuple[View, ...]:
        """The views for a net that is fed by `preprocess`; `trained` are those of the noise it was trained under.

        A single scale is the evaluator's own frame where nothing is cut at its edges, or where that frame is larger
        than the window anyway (most published weights: 256 for 224).

        Raises StriateError where the noise's views are asked for and the model does not know its noise.
        """
        if self.trained:
            if not trained:
                raise StriateError(
                    "views 'trained': the model does not say under what noise it was trained; name views, e.g. 10"
                )
            return trained
        window = min(preprocess.size)
        found = views(self.crops, self.scales, window=window)
        has_room = preprocess.resize_size is not None and preprocess.resize_size != preprocess.size
        if self.scales == 1 and (has_room or self.crops <= 2):
            return tuple(dataclasses.replace(view, short_side=None) for view in found)
        return found

    def notes(self, preprocess: Preprocess, trained: tuple[View, ...] = ()) -> tuple[str, ...]:
        """What was changed to fit the net, and what of the plan it never saw, each in a sentence."""
        found, window = [], min(preprocess.size)
        small = [] if isinstance(self.scales, int) else [side for side in sorted(set(self.scales)) if side < window]
        if small:
            found.append(f"the net reads {window} px: scales {_listed(small)} are left out")
        if trained and not self.trained and self.crops in (2, 10) and not any(view.flip for view in trained):
            found.append("training never mirrored an image, and mirror images are averaged in; --crops 5 has none")
        return tuple(found)

    def __str__(self) -> str:
        for name, plan in NAMED.items():
            if plan == self:
                return WORDS[name]
        scales = plural(self.scales, "scale") if isinstance(self.scales, int) else f"scales {_listed(self.scales)}"
        if self.dense:
            return f"dense{', mirrored' if self.crops == 2 else ''}, {scales}"
        return f"{plural(self.crops, 'crop')}, {scales}"


NAMED: Mapping[str, Plan] = MappingProxyType(
    {
        "none": Plan(),
        "flip": Plan(crops=2),
        "5": Plan(crops=5),
        "10": Plan(crops=10),
        "50": Plan(crops=10, scales=5),
        "dense": Plan(crops=2, scales=5, dense=True),
        "trained": Plan(trained=True),
    }
)
WORDS = {
    "none": "single view",
    "flip": "flips",
    "5": "5 crops",
    "10": "10 crops",
    "50": "50 views",
    "dense": "dense, 5 scales",
    "trained": "views of the training's noise",
}


def _listed(sides: Sequence[int]) -> str:
    return ", ".join(map(str, sides))
