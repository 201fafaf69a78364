#include "augment/map.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "augment/lens.h"

namespace striate {

namespace {

constexpr double farthest = 1e12;  // source px: beyond it a double no longer tells a thousandth of a pixel
constexpr double flattest = 1e-9;  // the sine of the angle between the two axes' pictures

// "1, 0, 0; 0, 1, 0; 0, 0, 1"
std::string text(const double* values, int count) {
    std::string written;
    for (int i = 0; i < count; ++i) {
        char number[40];
        std::snprintf(number, sizeof number, "%s%.6g", i == 0 ? "" : i % 3 == 0 ? "; " : ", ", values[i]);
        written += number;
    }
    return written;
}

// The largest |1 + k1 t + k2 t²| for t in [0, 1]: at an end, or at the parabola's vertex.
double largest_factor(double k1, double k2) {
    const auto factor = [&](double t) { return std::abs(lens_factor(t, k1, k2)); };
    double largest = std::max(1.0, factor(1.0));
    const double vertex = -k1 / (2.0 * k2);
    if (k2 != 0.0 && vertex > 0.0 && vertex < 1.0) largest = std::max(largest, factor(vertex));
    return largest;
}

}  // namespace

Stretch stretch_at(const Scene& s, double x, double y) {
    const double* g = s.matrix;
    double xx = 1.0, xy = 0.0, yy = 1.0;  // the lens's derivative, which is symmetric
    if (s.bends) {
        const auto width = static_cast<double>(s.out_width), height = static_cast<double>(s.out_height);
        const double per_square = per_square_of(s.out_height, s.out_width);
        const double dx = x - 0.5 * width, dy = y - 0.5 * height, square = (dx * dx + dy * dy) * per_square;
        const double factor = lens_factor(square, s.k1, s.k2);
        const double slope = lens_slope(square, s.k1, s.k2, per_square);
        xx = factor + slope * dx * dx, xy = slope * dx * dy, yy = factor + slope * dy * dy;
        x = 0.5 * width + dx * factor, y = 0.5 * height + dy * factor;
    }
    const double w = g[6] * x + (g[7] * y + g[8]);
    const auto length = [&](const double* row) {
        const double value = (row[0] * x + (row[1] * y + row[2])) / w;
        const double a = row[0] - value * g[6], b = row[1] - value * g[7];
        return std::max(1.0, std::hypot(a * xx + b * xy, a * xy + b * yy) / std::abs(w));
    };
    return {length(g), length(g + 3)};
}

std::string refusal(const double* g, const double* lens, std::int64_t height, std::int64_t width) {
    const auto finite = [](double v) { return std::isfinite(v); };
    if (!std::all_of(g, g + 9, finite)) return "is [" + text(g, 9) + "], which is not finite";
    if (lens != nullptr && !std::all_of(lens, lens + 2, finite)) {
        return "comes with a lens (" + text(lens, 2) + "), which is not finite";
    }
    // A row of the matrix is, over the output, its value at the centre ± at most `spread`: at the corners, which the
    // lens moves along their radii.
    const double x = 0.5 * static_cast<double>(width), y = 0.5 * static_cast<double>(height);
    const double reach = lens == nullptr ? 1.0 : largest_factor(lens[0], lens[1]);
    const auto centre = [&](int row) { return g[3 * row] * x + (g[3 * row + 1] * y + g[3 * row + 2]); };
    const auto spread = [&](int row) { return reach * (std::abs(g[3 * row]) * x + std::abs(g[3 * row + 1]) * y); };
    const double depth = std::abs(centre(2)) - spread(2);
    const double farthest_x = std::abs(centre(0)) + spread(0), farthest_y = std::abs(centre(1)) + spread(1);
    if (!(depth > 0.0) || !(std::max(farthest_x, farthest_y) < farthest * depth)) {
        return "is [" + text(g, 9) + "]" + (lens == nullptr ? "" : " after a lens (" + text(lens, 2) + ")") +
               ", which sends part of the output of " + std::to_string(height) + " × " + std::to_string(width) +
               " px to infinity";
    }
    const double w = centre(2), source_x = centre(0) / w, source_y = centre(1) / w;
    const double a = (g[0] - source_x * g[6]) / w, b = (g[1] - source_x * g[7]) / w;
    const double c = (g[3] - source_y * g[6]) / w, d = (g[4] - source_y * g[7]) / w;
    if (!(std::abs(a * d - b * c) > flattest * std::hypot(a, b) * std::hypot(c, d))) {
        return "is [" + text(g, 9) + "], which is singular: it maps the output onto a line or a point";
    }
    return "";
}

}  // namespace striate
