"""Pictures of what a net sees, and of nets beside each other."""

from striate.look.bubbles import Bubble, bubble_chart
from striate.look.field import draw_field

__all__ = ["Bubble", "bubble_chart", "draw_field"]
