"""The algebra of Winograd's filtering, apart from all kernels: tests/conv holds those to float64."""

import itertools
from fractions import Fraction

import pytest
import torch

from striate.conv import ConvShape, plan, refusal


def exact_matrices(m, taps, points):
    """Aᵀ, G, Bᵀ of F(m, taps) in fractions, from the points alone, as native/winograd/cook_toom.h states them."""
    size = m + taps - 1

    def polynomial(roots):
        coefficients = [Fraction(1)]
        for root in roots:
            shifted = [Fraction(0), *coefficients]
            coefficients = [a - root * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
        return coefficients + [Fraction(0)] * (size - len(coefficients))

    at = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    g, bt = [], []
    for j, p in enumerate(points):
        others = points[:j] + points[j + 1 :]
        distance = Fraction(1)
        for q in others:
            distance *= p - q
        g.append([p**k / distance for k in range(taps)])
        bt.append(polynomial(others))
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    bt.append(polynomial(points))
    return at, g, bt


# native/winograd/points.h, by the number of products.
POINTS = {
    3: (0, 1),
    4: (0, 1, -1),
    5: (0, 1, -1, "1/2"),
    6: (0, 1, -1, "1/2", -2),
    7: (0, 1, -1, "1/2", "-1/2", -3),
    8: (0, 1, -1, 2, -2, "1/2", "-1/2"),
    10: (0, 1, -1, "1/2", "-1/2", 3, -3, "3/4", "-3/4"),
    12: (0, 1, -1, "3/2", "-3/2", "1/4", "-1/4", 3, -3, "3/4", "-3/4"),
}
TWO_TAPS = [(2, 2), (4, 2), (5, 2), (6, 2)]  # along both axes only
BOTH_AXES = [(2, 3), (4, 3), (5, 3), (6, 3), (2, 5), (4, 5), (2, 7)]
ONE_AXIS = [(6, 5), (4, 7), (6, 7)]


@pytest.mark.parametrize(("m", "taps"), TWO_TAPS + BOTH_AXES + ONE_AXIS)
def test_the_algorithm_is_exact(m, taps):
    """Σ_j Aᵀ[i, j] G[j, k] Bᵀ[j, l] is 1 for l = i + k and 0 otherwise: filtering, as an identity of polynomials."""
    size = m + taps - 1
    at, g, bt = exact_matrices(m, taps, [Fraction(p) for p in POINTS[size]])
    for i, k, position in itertools.product(range(m), range(taps), range(size)):
        total = sum(at[i][j] * g[j][k] * bt[j][position] for j in range(size))
        assert total == (position == i + k)


@pytest.mark.parametrize(
    ("m", "taken"),
    [
        (2, "2×2, 3×3, 1×3, 3×1, 5×5, 1×5, 5×1, 7×7, 1×7 and 7×1"),
        (4, "2×2, 3×3, 1×3, 3×1, 5×5, 1×5, 5×1, 1×7 and 7×1"),
        (5, "2×2, 3×3, 1×3 and 3×1"),
        (6, "2×2, 3×3, 1×3, 3×1, 1×5, 5×1, 1×7 and 7×1"),
    ],
)
def test_other_filters_are_refused_with_those_it_takes(m, taken):
    for rows, columns in ((1, 1), (3, 5), (4, 4), (1, 9)):
        shape = ConvShape.of((1, 4, 16, 16), (4, 4, rows, columns))
        assert refusal(f"winograd{m}", "forward", shape) == f"takes {taken} filters, not {rows}×{columns}"
    for size in taken.replace(" and ", ", ").split(", "):
        rows, columns = map(int, size.split("×"))
        assert not refusal(f"winograd{m}", "forward", ConvShape.of((1, 4, 16, 16), (4, 4, rows, columns)))


@pytest.mark.parametrize(
    ("m", "taken"), [(2, "3×3, 5×5, 9×9 and 13×13"), (4, "3×3, 5×5 and 9×9"), (5, "3×3 and 5×5"), (6, "3×3 and 5×5")]
)
def test_other_strides_are_refused_with_what_it_takes(m, taken):
    def refused(rows, columns, stride):
        shape = ConvShape.of((1, 4, 16, 16), (4, 4, rows, columns), stride=stride)
        reasons = {refusal(f"winograd{m}", pass_, shape) for pass_ in ("forward", "backward_data", "backward_weights")}
        assert len(reasons) == 1
        return reasons.pop()

    for rows, columns in ((1, 1), (1, 3), (3, 5), (4, 4), (7, 7)):
        assert refused(rows, columns, 2) == f"with stride 2 takes {taken} filters, not {rows}×{columns}"
    for size in taken.replace(" and ", ", ").split(", "):
        assert not refused(*map(int, size.split("×")), 2)
    assert refused(3, 3, 3) == "takes strides 1 and 2, not 3"
    assert refused(3, 3, (1, 2)) == "takes the same stride along both axes, not 1 and 2"


@pytest.mark.parametrize(
    ("m", "outputs", "taps"),
    [(4, 2, 2), (5, 4, 2), (6, 4, 2), (4, 2, 3), (5, 4, 3), (6, 4, 3), (4, 2, 5), (6, 4, 5), (4, 2, 7), (6, 4, 7)],
)
def test_short_tiles_take_the_filters_of_long_ones(m, outputs, taps):
    """F(outputs, r) at the first points of F(m, r) and infinity is exact with its G, once Bᵀ makes good a factor."""
    points, size = [Fraction(p) for p in POINTS[m + taps - 1]], outputs + taps - 1
    _, g, _ = exact_matrices(m, taps, points)
    at, own_g, bt = exact_matrices(outputs, taps, points[: size - 1])
    g = [*g[: size - 1], g[-1]]
    for row, own, longer in zip(bt[:-1], own_g, g, strict=False):
        row[:] = [own[0] / longer[0] * entry for entry in row]
    for i, k, position in itertools.product(range(outputs), range(taps), range(size)):
        total = sum(at[i][j] * g[j][k] * bt[j][position] for j in range(size))
        assert total == (position == i + k)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 16, 28, 29])
@pytest.mark.parametrize(("m", "taps"), TWO_TAPS + BOTH_AXES)
def test_every_remainder_of_tiles(m, taps, pixels):
    """Long and short tiles together cover each size, along both axes and along one."""
    for size in ((pixels, pixels), (pixels, 9), (9, pixels)):
        holds_to_float64(m, size, (taps, taps), 1e-4)


@pytest.mark.parametrize("pixels", [*range(1, 19), 28, 29, 31, 33])
@pytest.mark.parametrize(("m", "taps"), BOTH_AXES + ONE_AXIS)
def test_every_remainder_of_tiles_of_filters_with_one_axis(m, taps, pixels):
    holds_to_float64(m, (3, pixels), (1, taps), 3e-5)
    holds_to_float64(m, (pixels, 19), (taps, 1), 3e-5)


def holds_to_float64(m, size, taps, limit):
    generator = torch.Generator().manual_seed(sum(size))
    x = torch.randn(2, 5, *size, generator=generator)
    weight = torch.randn(19, 5, *taps, generator=generator)
    padding = tuple(each // 2 for each in taps)
    y = plan(ConvShape.of(x.shape, weight.shape, padding=padding), f"winograd{m}").run(x, weight)
    exact = torch.nn.functional.conv2d(x.double(), weight.double(), padding=padding)
    assert (y.double() - exact).abs().max() <= limit * exact.abs().max()


@pytest.mark.parametrize("pixels", [1, 2, 3, 7, 8, 9, 12, 13, 14, 27, 28, 31])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("m", [2, 4, 5, 6])
def test_every_remainder_of_tiles_with_stride_2(m, kernel, pixels):
    """Sizes and paddings, even and odd, decide which residue begins where, and which of its taps is missing."""
    for low, high in itertools.product(range(3), range(2)):
        padding = (low, high, high + 1, low)
        if pixels + low + high < kernel or pixels + low + high + 1 < kernel:
            continue
        shape = ConvShape.of((2, 5, pixels, pixels), (19, 5, kernel, kernel), stride=2, padding=padding)
        generator = torch.Generator().manual_seed(pixels)
        x = torch.randn(shape.images, generator=generator, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(shape.filters, generator=generator, dtype=torch.float64, requires_grad=True)
        padded = torch.nn.functional.pad(x, (padding[2], padding[3], padding[0], padding[1]))
        y = torch.nn.functional.conv2d(padded, weight, stride=2)
        dy = torch.randn(y.shape, generator=generator, dtype=torch.float64)
        exact = dict(zip(("backward_data", "backward_weights"), torch.autograd.grad(y, (x, weight), dy), strict=True))
        single = [each.detach().float() for each in (x, weight, dy)]
        mine = {
            "forward": plan(shape, f"winograd{m}").run(single[0], single[1]),
            "backward_data": plan(shape, f"winograd{m}", "backward_data").run(single[2], single[1]),
            "backward_weights": plan(shape, f"winograd{m}", "backward_weights").gradient(single[0], single[2]),
        }
        for pass_, wanted in {"forward": y.detach(), **exact}.items():
            assert (mine[pass_].double() - wanted).abs().max() <= 1e-4 * wanted.abs().max(), (pass_, padding)


@pytest.mark.parametrize(("m", "multiple"), [(2, 4), (4, 225)])
def test_whole_numbers_come_out_exact(m, multiple):
    """Filters that the divisions of G ⊗ G leave whole, and small pixels: nothing is rounded, so nothing differs."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-4, 5, (1, 3, 13, 13), generator=generator).float()
    weight = multiple * torch.randint(-2, 3, (5, 3, 3, 3), generator=generator).float()
    y = plan(ConvShape.of(x.shape, weight.shape, padding=1), f"winograd{m}").run(x, weight)
    assert torch.equal(y.double(), torch.nn.functional.conv2d(x.double(), weight.double(), padding=1))
