"""Where testing looks for a crop that training put anywhere: the papers' places, and their scales in proportion."""

from dataclasses import replace

from striate.augment.view import View

__all__ = ["CENTRE", "CORNERS", "SIDES", "WINDOW", "corners_and_centre", "in_proportion"]

CENTRE = (0.5, 0.5)  # (down, across) of what is left free
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))  # with the centre, Krizhevsky 2012, §4.1
WINDOW = 224  # what the papers' scales are stated for, px
SIDES = (224, 256, 384, 480, 640)  # short sides at which testing looks, px; He 2015, §3.4


def corners_and_centre(view: View) -> tuple[View, ...]:
    """Four corners and the centre, a fifth of the view's weight each."""
    places = (*CORNERS, CENTRE)
    return tuple(replace(view, place=place, weight=view.weight / len(places)) for place in places)


def in_proportion(side: int, window: int) -> int:
    """A length that is stated for a window of 224 px, for one of `window` px; halves up.

    >>> in_proportion(256, 224), in_proportion(256, 64), in_proportion(480, 112)
    (256, 73, 240)
    """
    return (2 * side * window + WINDOW) // (2 * WINDOW)
