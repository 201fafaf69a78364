"""The reliability diagram: how often the net was right, against how sure it was (Niculescu-Mizil and Caruana 2005).

A bar for each bin of confidence; on the diagonal the net says what it knows, below it says too much.
"""

from striate.evaluate.calibration import Bins, Calibration
from striate.pages.axes import fit_axis, y_grid
from striate.pages.svg import frame, label, number
from striate.pages.wording import plural

__all__ = ["reliability_chart"]

WIDTH, HEIGHT = 460, 460
LEFT, RIGHT, TOP, BOTTOM = 74, 26, 24, 52

STYLE = (
    "<style>svg{background:#fff;color:#222;font-family:system-ui,sans-serif}.grid{stroke:#8884;stroke-width:1}"
    ".bar{fill:#2563a8;fill-opacity:.55;stroke:#2563a8}.exact{stroke:#888;stroke-dasharray:4 4}"
    "@media(prefers-color-scheme:dark){svg{background:#16191d;color:#e4e6e8}}</style>"
)


def reliability_chart(calibration: Calibration, title: str) -> str:
    """The diagram as a whole SVG document, for light and dark pages."""
    bins = calibration.bins
    x = fit_axis((0.0, 1.0), LEFT, WIDTH - RIGHT, percent=True)
    y = fit_axis((0.0, 1.0), HEIGHT - BOTTOM, TOP, percent=True)
    body = [STYLE, y_grid(y, LEFT, WIDTH - RIGHT)]
    for tick in x.ticks:
        body.append(label(x.at(tick), HEIGHT - BOTTOM + 18, x.name(tick), anchor="middle"))
    width = (x.at(1) - x.at(0)) / len(bins.counts)
    for i, (count, right, sure) in enumerate(zip(bins.counts, bins.accuracy, bins.confidence, strict=True)):
        if count:
            told = f"{plural(count, 'image')}, {sure:.1%} sure, {right:.1%} right"
            body.append(
                f'<rect class="bar" x="{number(x.at(0) + i * width + 1)}" y="{number(y.at(right))}" '
                f'width="{number(width - 2)}" height="{number(y.at(0) - y.at(right))}"><title>{told}</title></rect>'
            )
    body.append(
        f'<line class="exact" x1="{number(x.at(0))}" y1="{number(y.at(0))}" '
        f'x2="{number(x.at(1))}" y2="{number(y.at(1))}"/>'
    )
    body.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "how sure the net is", anchor="middle"))
    body.append(label(16, (TOP + HEIGHT - BOTTOM) / 2, "how often it is right", anchor="middle", turn=-90))
    svg = frame("reliability", title, _described(bins, calibration.ece), (WIDTH, HEIGHT), "".join(body))
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _described(bins: Bins, ece: float) -> str:
    images = plural(int(bins.counts.sum()), "image")
    return f"{images} in {len(bins.counts)} bins of confidence; the expected calibration error is {ece:.1%}."
