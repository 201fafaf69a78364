#include "ref/warp.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace striate::reference {

namespace {

struct Point {
    double x, y;
};

// A place in the source, and how many source pixels along each of its axes one output pixel covers there.
struct Sight {
    Point at;
    double across, down;
};

// Where the output's point comes from: source = matrix · lens(point).
Sight seen(const Warp& call, std::int64_t b, Point p) {
    const double* g = call.geometry + 9 * b;
    const auto width = static_cast<double>(call.width), height = static_cast<double>(call.height);
    double lens[2][2] = {{1, 0}, {0, 1}};  // ∂(lens of p) / ∂p
    if (call.lens != nullptr) {
        const double k1 = call.lens[2 * b], k2 = call.lens[2 * b + 1];
        const double per_square = 4.0 / (width * width + height * height);  // the unit is half the diagonal
        const double dx = p.x - 0.5 * width, dy = p.y - 0.5 * height;
        const double square = (dx * dx + dy * dy) * per_square;
        const double factor = 1.0 + square * (k1 + square * k2);
        const double slope = 2.0 * per_square * (k1 + 2.0 * square * k2);
        lens[0][0] = factor + slope * dx * dx;
        lens[0][1] = lens[1][0] = slope * dx * dy;
        lens[1][1] = factor + slope * dy * dy;
        p = {0.5 * width + dx * factor, 0.5 * height + dy * factor};
    }
    const double w = g[6] * p.x + (g[7] * p.y + g[8]);
    const Point at = {(g[0] * p.x + (g[1] * p.y + g[2])) / w, (g[3] * p.x + (g[4] * p.y + g[5])) / w};
    const auto slope = [&](const double* row, double value, int axis) {  // ∂(row · p / w) / ∂(output's axis)
        return ((row[0] - value * g[6]) * lens[0][axis] + (row[1] - value * g[7]) * lens[1][axis]) / w;
    };
    return {at, std::hypot(slope(g, at.x, 0), slope(g, at.x, 1)),
            std::hypot(slope(g + 3, at.y, 0), slope(g + 3, at.y, 1))};
}

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double cubic(double x) {  // Keys 1981, eq. 4, a = −½
    x = std::abs(x);
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
    if (x < 2.0) return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    return 0.0;
}

// The source's pixels along one axis that the filter reaches from `at`.
struct Taps {
    double at, scale, reach;
    Sampler sampler;
    std::int64_t first, end;

    Taps(Sampler filter, double place, double stretch, std::int64_t size) : at(place), scale(stretch), sampler(filter) {
        const auto within = [&](double v) {  // before it becomes a whole number: the stretch may be anything
            return static_cast<std::int64_t>(std::clamp(std::floor(v), 0.0, static_cast<double>(size)));
        };
        reach = sampler == Sampler::bicubic ? 2.0 * scale : scale;
        first = sampler == Sampler::nearest ? std::min(within(at), size - 1) : within(at - reach + 0.5);
        end = sampler == Sampler::nearest ? first + 1 : within(at + reach + 0.5);
        end = std::clamp(end, first, size);
    }

    double weight(std::int64_t pixel) const {
        if (sampler == Sampler::nearest) return 1.0;
        const double x = (static_cast<double>(pixel) + 0.5 - at) / scale;
        return sampler == Sampler::bilinear ? triangle(x) : cubic(x);
    }
};

// x mirrored at 0 and at `size` until it lies between them.
double folded(double x, double size) {
    const double period = 2.0 * size;
    const double rest = std::clamp(x - period * std::floor(x / period), 0.0, period);
    return std::min(rest, period - rest);
}

// The source's colour at a place, before the colour matrix.
void sample(const Warp& call, const Image& image, Sight sight, double* colour) {
    const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
    Point at = sight.at;
    const bool inside = 0.0 <= at.x && at.x <= width && 0.0 <= at.y && at.y <= height;
    if (!inside && call.border == Border::constant) {
        for (std::int64_t c = 0; c < call.channels; ++c) colour[c] = call.fill[c];
        return;
    }
    if (call.border == Border::edge) at = {std::clamp(at.x, 0.0, width), std::clamp(at.y, 0.0, height)};
    if (call.border == Border::reflect) at = {folded(at.x, width), folded(at.y, height)};
    const Taps across(call.sampler, at.x, call.antialias ? std::max(1.0, sight.across) : 1.0, image.width);
    const Taps down(call.sampler, at.y, call.antialias ? std::max(1.0, sight.down) : 1.0, image.height);
    double sums[3] = {}, total = 0.0;
    for (std::int64_t y = down.first; y < down.end; ++y) {
        for (std::int64_t x = across.first; x < across.end; ++x) {
            const double weight = down.weight(y) * across.weight(x);
            total += weight;
            for (std::int64_t c = 0; c < call.channels; ++c) {
                sums[c] += weight * image.pixels[(y * image.width + x) * call.channels + c];
            }
        }
    }
    for (std::int64_t c = 0; c < call.channels; ++c) colour[c] = sums[c] / total;
}

void put(const Warp& call, std::int64_t at, double value) {
    if (call.value == Value::uint8) {
        static_cast<std::uint8_t*>(call.out)[at] = static_cast<std::uint8_t>(value + 0.5);
    } else if (call.value == Value::float32) {
        static_cast<float*>(call.out)[at] = static_cast<float>(value);
    } else {  // the upper half of a float, rounded to the nearest, the even one of two
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
        static_cast<std::uint16_t*>(call.out)[at] =
            static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

}  // namespace

void warp(const Warp& call, const Image* images) {
    const std::int64_t channels = call.channels, height = call.height, width = call.width;
    for (std::int64_t b = 0; b < call.size; ++b) {
        for (std::int64_t i = 0; i < height; ++i) {
            for (std::int64_t j = 0; j < width; ++j) {
                const std::int64_t begin = j / run_pixels * run_pixels, end = std::min(begin + run_pixels, width);
                const double y = static_cast<double>(i) + 0.5;
                const Sight middle = seen(call, b, {0.5 * static_cast<double>(begin + end), y});
                const Sight here = seen(call, b, {static_cast<double>(j) + 0.5, y});
                double pixel[3];
                sample(call, images[b], {here.at, middle.across, middle.down}, pixel);
                for (std::int64_t c = 0; c < channels; ++c) {
                    double value = pixel[c];
                    if (call.colour != nullptr) {
                        const float* row = call.colour + (b * channels + c) * (channels + 1);
                        value = row[channels];
                        for (std::int64_t k = 0; k < channels; ++k) value += row[k] * pixel[k];
                    }
                    value = std::clamp(value, 0.0, 255.0) * call.scale[c] + call.shift[c];
                    const std::int64_t in_image =
                        call.layout == PixelLayout::planar ? (c * height + i) * width + j : (i * width + j) * channels + c;
                    put(call, b * call.image_values() + in_image, value);
                }
            }
        }
    }
}

}  // namespace striate::reference
