"""Pictures of what a net sees."""

from striate.look.field import draw_field

__all__ = ["draw_field"]
