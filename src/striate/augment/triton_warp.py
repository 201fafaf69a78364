"""The one resampling as one GPU kernel (Triton): a thread an output pixel, its taps in registers.

The floor is the bytes: the source read once and the output written once, 0.56 MB and 0.6 MB an image for 500×375 to
224×224. The formulas are those of `torch_warp`, which is held against the same reference; positions are computed in
double precision, weights and sums in single.
"""

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["resample"]

FILTERS = {"nearest": 0, "bilinear": 1, "bicubic": 2}
BORDERS = {"constant": 0, "edge": 1, "reflect": 2}
BLOCK = 256  # output pixels of a program
RUN = tl.constexpr(16)  # output pixels of a row that share one scale of the filter


def resample(
    pixels: Tensor,
    begin: Tensor,
    heights: Tensor,
    widths: Tensor,
    geometry: Tensor,
    lens: Tensor,
    colour: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    fill: Tensor,
    out: Tensor,
    *,
    filter: str,
    antialias: bool,
    border: str,
) -> None:
    """Write `out` float32 [B, C, h, w], of any strides. All tensors lie on its device.

    `pixels` uint8 [Σ Hi·Wi, C], the images end to end; image b begins at row begin[b] (int64) and is heights[b] ×
    widths[b] (int64). geometry float64 [B, 3, 3], lens float64 [B, 2], colour float32 [B, C, C + 1]; C is 1 or 3.
    """
    count, channels, height, width = out.shape
    if not count:
        return
    colours = colour if colour is not None else scale
    grid = (triton.cdiv(height * width, BLOCK), count)
    _kernel[grid](
        pixels,
        begin,
        heights,
        widths,
        geometry.contiguous(),
        lens.contiguous(),
        colours.contiguous(),
        scale,
        shift,
        fill,
        out,
        height,
        width,
        *out.stride(),
        channels=channels,
        kind=FILTERS[filter],
        edge=BORDERS[border],
        widen=antialias,
        coloured=colour is not None,
        block=BLOCK,
    )


@triton.jit
def _bent(ox, oy, k1, k2, height, width):
    """The lens: bent position, and what its derivative is made of (bent = centre + f · d, ∂ = f I + df · d dᵀ)."""
    dx, dy = ox - 0.5 * width, oy - 0.5 * height
    per_square = 4.0 / (width * width + height * height).to(tl.float64)  # radii in halves of the diagonal
    u = (dx * dx + dy * dy) * per_square
    f = 1.0 + u * (k1 + u * k2)
    df = 2.0 * per_square * (k1 + 2.0 * u * k2)
    return 0.5 * width + f * dx, 0.5 * height + f * dy, dx, dy, f, df


@triton.jit
def _at_least_one(a, b):
    """max(1, √(a² + b²))."""
    return tl.maximum(tl.sqrt(a * a + b * b), 1.0)


@triton.jit
def _taps(at, stretch, size, kind: tl.constexpr):
    """First and last pixel along one axis that the filter reaches from `at`, both inside."""
    if kind == 0:
        first = tl.minimum(tl.floor(at).to(tl.int64), size - 1)
        return first, first
    reach = stretch * kind
    first = tl.maximum(tl.ceil(at - reach - 0.5).to(tl.int64), 0)
    return first, tl.minimum(tl.floor(at + reach - 0.5).to(tl.int64), size - 1)


@triton.jit
def _weight(index, at, stretch, kind: tl.constexpr):
    d = tl.abs((index + 0.5 - at).to(tl.float32)) / stretch.to(tl.float32)
    if kind == 0:
        return tl.where(d >= 0, 1.0, 1.0)
    if kind == 1:
        return tl.maximum(1.0 - d, 0.0)
    near = (1.5 * d - 2.5) * d * d + 1.0  # Keys 1981, eq. 4, a = −1/2
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return tl.where(d < 1.0, near, tl.where(d < 2.0, far, 0.0))


@triton.jit
def _onto(at, size, edge: tl.constexpr):
    """Into [0, size]: clamped, or folded back."""
    if edge == 2:
        period = 2.0 * size
        at = at - period * tl.floor(at / period)
        return tl.minimum(at, period - at)
    return tl.minimum(tl.maximum(at, 0.0), size.to(tl.float64))


@triton.jit
def _kernel(
    pixels, begin, heights, widths, geometry, lens, colour, scale, shift, fill, out, height, width,
    stride_b, stride_c, stride_h, stride_w,
    channels: tl.constexpr, kind: tl.constexpr, edge: tl.constexpr, widen: tl.constexpr, coloured: tl.constexpr,
    block: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * block + tl.arange(0, block)
    live = place < height * width
    row, column = place // width, place % width
    high, wide = tl.load(heights + b), tl.load(widths + b)
    g00, g01, g02 = tl.load(geometry + 9 * b), tl.load(geometry + 9 * b + 1), tl.load(geometry + 9 * b + 2)
    g10, g11, g12 = tl.load(geometry + 9 * b + 3), tl.load(geometry + 9 * b + 4), tl.load(geometry + 9 * b + 5)
    g20, g21, g22 = tl.load(geometry + 9 * b + 6), tl.load(geometry + 9 * b + 7), tl.load(geometry + 9 * b + 8)
    k1, k2 = tl.load(lens + 2 * b), tl.load(lens + 2 * b + 1)

    oy = row.to(tl.float64) + 0.5
    lx, ly, dx, dy, f, df = _bent(column.to(tl.float64) + 0.5, oy, k1, k2, height, width)
    w = g20 * lx + g21 * ly + g22
    x, y = (g00 * lx + g01 * ly + g02) / w, (g10 * lx + g11 * ly + g12) / w
    inside = (x >= 0) & (x <= wide) & (y >= 0) & (y <= high)
    sx, sy = tl.full((block,), 1.0, tl.float64), tl.full((block,), 1.0, tl.float64)
    if widen and kind > 0:
        run = column // RUN * RUN
        middle = (run + tl.minimum(run + RUN, width)).to(tl.float64) * 0.5
        lx, ly, dx, dy, f, df = _bent(middle, oy, k1, k2, height, width)
        w = g20 * lx + g21 * ly + g22
        mx, my = (g00 * lx + g01 * ly + g02) / w, (g10 * lx + g11 * ly + g12) / w
        px, py = (g00 - mx * g20) / w, (g01 - mx * g21) / w
        along = df * (px * dx + py * dy)
        sx = _at_least_one(f * px + along * dx, f * py + along * dy)
        px, py = (g10 - my * g20) / w, (g11 - my * g21) / w
        along = df * (px * dx + py * dy)
        sy = _at_least_one(f * px + along * dx, f * py + along * dy)
    x, y = _onto(x, wide, edge), _onto(y, high, edge)
    left, right = _taps(x, sx, wide, kind)
    top, bottom = _taps(y, sy, high, kind)
    columns = tl.max(tl.where(live, right - left, 0)) + 1
    rows = tl.max(tl.where(live, bottom - top, 0)) + 1

    red, green, blue = tl.zeros((block,), tl.float32), tl.zeros((block,), tl.float32), tl.zeros((block,), tl.float32)
    total = tl.zeros((block,), tl.float32)
    first = tl.load(begin + b)
    i = tl.zeros((), tl.int64)
    while i < rows:
        v = top + i
        down = tl.where(v <= bottom, _weight(v, y, sy, kind), 0.0)
        j = tl.zeros((), tl.int64)
        while j < columns:
            u = left + j
            weight = down * tl.where(u <= right, _weight(u, x, sx, kind), 0.0)
            at = pixels + (first + tl.minimum(v, high - 1) * wide + tl.minimum(u, wide - 1)) * channels
            red += weight * tl.load(at, mask=live, other=0).to(tl.float32)
            if channels == 3:
                green += weight * tl.load(at + 1, mask=live, other=0).to(tl.float32)
                blue += weight * tl.load(at + 2, mask=live, other=0).to(tl.float32)
            total += weight
            j += 1
        i += 1
    red, green, blue = red / total, green / total, blue / total
    if edge == 0:
        red = tl.where(inside, red, tl.load(fill))
        if channels == 3:
            green = tl.where(inside, green, tl.load(fill + 1))
            blue = tl.where(inside, blue, tl.load(fill + 2))
    for c in tl.static_range(channels):
        if coloured:
            m = colour + b * channels * (channels + 1) + c * (channels + 1)
            value = tl.load(m) * red + tl.load(m + channels)
            if channels == 3:
                value += tl.load(m + 1) * green + tl.load(m + 2) * blue
        else:
            value = red if c == 0 else (green if c == 1 else blue)
        value = tl.minimum(tl.maximum(value, 0.0), 255.0) * tl.load(scale + c) + tl.load(shift + c)
        tl.store(out + b * stride_b + c * stride_c + row * stride_h + column * stride_w, value, mask=live)
