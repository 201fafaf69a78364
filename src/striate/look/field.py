"""A measured receptive field as a picture: where a unit looks, and how hard."""

import numpy as np
from PIL import Image, ImageDraw

from striate.nets.measured_field import MeasuredField

__all__ = ["draw_field"]

PAPER, INK = np.array([255, 255, 255]), np.array([8, 48, 107])  # no influence, the most
SUPPORT, THEORY = (217, 95, 2), (120, 120, 120)  # outlines: every pixel with influence; what arithmetic allows
SMALLEST = 448  # px that a picture is at least wide


def draw_field(field: MeasuredField, theory: tuple[int, int, int, int] | None = None) -> Image.Image:
    """The contributions as ink, an orange box around all that have any, a grey one around `theory`.

    `theory` is (top, left, bottom, right) px, the last two excluded; parts outside the image are cut off. Ink goes
    with the square root, because a field's border is a hundred times fainter than its middle. Small images are drawn
    with several pixels for each.
    """
    largest = field.contribution.max()
    share = np.sqrt(field.contribution / largest) if largest > 0 else np.zeros_like(field.contribution)
    pixels = np.rint(PAPER + share[..., None] * (INK - PAPER)).astype(np.uint8)
    scale = -(-SMALLEST // pixels.shape[1])
    picture = Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1))
    draw = ImageDraw.Draw(picture)
    height, width = field.contribution.shape
    for box, colour in ((theory, THEORY), (field.support, SUPPORT)):
        if box is not None:
            top, left, bottom, right = max(0, box[0]), max(0, box[1]), min(height, box[2]), min(width, box[3])
            corners = (scale * left, scale * top, scale * right - 1, scale * bottom - 1)
            draw.rectangle(corners, outline=colour, width=max(1, scale // 3))
    return picture
