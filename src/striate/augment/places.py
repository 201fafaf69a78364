"""The five places that testing looks at for a crop that training put anywhere."""

from dataclasses import replace

from striate.augment.view import View

__all__ = ["corners_and_centre"]

PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))  # (down, across); Krizhevsky 2012, §4.1


def corners_and_centre(view: View) -> tuple[View, ...]:
    """Four corners and the centre, a fifth of the view's weight each."""
    return tuple(replace(view, place=place, weight=view.weight / len(PLACES)) for place in PLACES)
