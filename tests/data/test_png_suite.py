"""Every kind of PNG against a slow decoder written from the specification, on Willem van Schaik's PngSuite."""

import struct
import zlib

import numpy as np
import pytest

from striate.data.badimage import BadImage
from striate.data.decoding import decode

pytestmark = pytest.mark.shared

# Pass origins and steps of Adam7 (PNG 3rd edition, §8.2): first row, first column, row step, column step.
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # per pixel, by colour type (§11.2.1)


def reference(data):
    """(RGB float[H, W, 3] in 0 … 255, laid over white), by the letter of the specification."""
    chunks, at = {}, 8
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunks[name] = chunks.get(name, b"") + data[at + 8 : at + 8 + length]
        at += length + 12
    width, height, depth, colour, _, _, interlace = struct.unpack(">2I5B", chunks[b"IHDR"])
    raw = zlib.decompress(chunks[b"IDAT"])
    count = SAMPLES[colour]
    image = np.zeros((height, width, count), np.int64)
    for top, left, down, across in ADAM7 if interlace else [(0, 0, 1, 1)]:
        rows, columns = len(range(top, height, down)), len(range(left, width, across))
        if rows and columns:
            part, raw = unfiltered(raw, rows, columns, count, depth)
            image[top::down, left::across] = part
    peak = (1 << depth) - 1
    transparent = chunks.get(b"tRNS")
    alpha = np.ones((height, width))
    if colour == 3:
        palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3).astype(float)
        if transparent is not None:
            opacity = np.ones(len(palette))
            opacity[: len(transparent)] = np.frombuffer(transparent, np.uint8)[: len(palette)] / 255
            alpha = opacity[image[..., 0]]
        rgb = palette[image[..., 0]]
    else:
        if transparent is not None:
            alpha = 1.0 - (image == np.array(struct.unpack(f">{count}H", transparent))).all(axis=2)
        if colour in (4, 6):
            alpha, image = image[..., -1] / peak, image[..., :-1]
        rgb = np.broadcast_to(image / peak * 255, (height, width, 3))
    return rgb * alpha[..., None] + 255 * (1 - alpha[..., None])


def unfiltered(raw, rows, columns, count, depth):
    """(samples int[rows, columns, count], what is left of raw): filters of §9.2, unpacked from `depth` bits."""
    stride = (columns * count * depth + 7) // 8
    back = max(1, count * depth // 8)
    above = np.zeros(stride, np.int64)
    lines = []
    for row in range(rows):
        kind, *line = raw[row * (stride + 1) : (row + 1) * (stride + 1)]
        for i in range(stride):
            a = line[i - back] if i >= back else 0
            b, c = int(above[i]), int(above[i - back]) if i >= back else 0
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            line[i] = (line[i] + [0, a, b, (a + b) // 2, paeth][kind]) & 255
        above = np.array(line)
        lines.append(above)
    bits = np.unpackbits(np.array(lines, np.uint8), axis=1)[:, : columns * count * depth]
    weights = 1 << np.arange(depth - 1, -1, -1)
    samples = bits.reshape(rows, columns, count, depth).astype(np.int64) @ weights
    return samples, raw[rows * (stride + 1) :]


def test_every_valid_file(shared_data):
    files = sorted((shared_data / "pngsuite" / "png").glob("[!x]*.png"))
    assert len(files) > 150
    for path in files:
        data = path.read_bytes()
        depth = data[24]
        # Rounding is half a level; 16-bit colour, of which Pillow keeps the high byte, may lose one more.
        off = np.abs(decode(data, 3, path.name) - reference(data))
        assert off.max() <= (1.0 if depth == 16 else 0.5) + 1e-9, f"{path.name}: {off.max()}"


def test_every_corrupt_file_is_refused(shared_data):
    files = sorted((shared_data / "pngsuite" / "png").glob("x*.png"))
    assert len(files) == 14
    for path in files:
        with pytest.raises(BadImage, match=rf"^{path.name} is "):
            decode(path.read_bytes(), 3, path.name)
