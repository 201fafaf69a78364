"""Our FFT against torch's direct convolution, filter after filter: where Fourier begins to pay (Vasilache 2014).

The images keep their size (padding of half the filter), so the direct sum grows with the filter's area while the
transforms stay nearly what they are.
"""

from collections.abc import Sequence

from striate.bench.charts import Line, line_chart
from striate.bench.conv import Row
from striate.bench.layer import Layer

__all__ = ["FILTERS", "crossover", "figure", "layers"]

FILTERS = tuple(range(3, 32, 2))


def layers(filters: Sequence[int], maps: int, side: int) -> list[Layer]:
    """Convolutions of as many maps as they give, alike but for their filters."""
    return [
        Layer(in_maps=maps, out_maps=maps, size=(side, side), kernel=(f, f), padding=(f // 2, f // 2)) for f in filters
    ]


def crossover(rows: Sequence[Row], peer: str) -> int | None:
    """The side of the smallest filter from which on we are faster, always; None when we end slower."""
    at = None
    for row in sorted(rows, key=lambda row: row.layer.kernel):
        ratio = row.speed_up(peer)
        if ratio is None or ratio.median <= 1:
            at = None
        elif at is None:
            at = row.layer.kernel[0]
    return at


def figure(rows: Sequence[Row], peer: str) -> str:
    """Speed-up over the peer against the side of the filter, with quartiles, and the line at 1. An SVG document."""
    known = [(row.layer.kernel[0], ratio) for row in rows if (ratio := row.speed_up(peer)) is not None]
    line = Line(
        name=f"FFT over {peer}",
        points=[(side, ratio.median) for side, ratio in known],
        low=[ratio.low for _, ratio in known],
        high=[ratio.high for _, ratio in known],
    )
    layer = rows[0].layer
    title = f"FFT against direct convolution: {layer.in_maps} maps of {layer.size[0]} px, N = {rows[0].batch}"
    return line_chart(
        title, [line], x_name="side of the filter, px", y_name="times as fast", limit=1.0, limit_name="level", log=True
    )
