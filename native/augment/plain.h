// A row pixel by pixel, for what the vector loops do not take: images smaller than a window of taps, filters that reach
// very far, and sets without vectors. Places in double, as everywhere; weights and sums in float.
#pragma once

#include <cstring>

#include "augment/kernels.h"
#include "augment/lens.h"
#include "simd/bounds.h"

namespace striate::STRIATE_ISA_NAMESPACE {

constexpr double bounded(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// The pixel of `size` in which x lies.
constexpr std::int64_t pixel_at(double x, std::int64_t size) {
    return static_cast<std::int64_t>(bounded(x, 0.0, static_cast<double>(size)));
}

inline double folded(double x, double size) {
    const double period = 2.0 * size;
    const double rest = bounded(x - period * __builtin_floor(x / period), 0.0, period);
    return rest < period - rest ? rest : period - rest;
}

inline float filter_at(Sampler sampler, float x) {
    x = x < 0.0f ? -x : x;
    if (sampler != Sampler::bicubic) return x < 1.0f ? 1.0f - x : 0.0f;
    if (x < 1.0f) return (1.5f * x - 2.5f) * x * x + 1.0f;
    return x < 2.0f ? ((-0.5f * x + 2.5f) * x - 4.0f) * x + 2.0f : 0.0f;
}

// The taps along one axis: weights[count] from pixel `first` on, and their sum.
struct PlainTaps {
    std::int64_t first, count;
    float sum;

    PlainTaps(const Scene& s, double at, std::int64_t size, const Reach& reach, float* weights) {
        const auto length = static_cast<double>(size);
        at = s.border == Border::reflect ? folded(at, length) : bounded(at, 0.0, length);
        if (s.sampler == Sampler::nearest) {
            first = smaller(pixel_at(at, size), size - 1), count = 1, sum = weights[0] = 1.0f;
            return;
        }
        const auto half = static_cast<double>(reach.half);
        first = pixel_at(at - half + 0.5, size);
        count = larger(pixel_at(at + half + 0.5, size) - first, 0);
        sum = 0.0f;
        for (std::int64_t t = 0; t < count; ++t) {
            const auto distance = static_cast<float>(static_cast<double>(first + t) + 0.5 - at);
            sum += weights[t] = filter_at(s.sampler, distance * reach.per_pixel);
        }
    }
};

inline void put_plain(const Scene& s, std::int64_t at, float value) {
    if (s.value == Value::uint8) {
        static_cast<std::uint8_t*>(s.out)[at] = static_cast<std::uint8_t>(value + 0.5f);
    } else if (s.value == Value::float32) {
        static_cast<float*>(s.out)[at] = value;
    } else {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        static_cast<std::uint16_t*>(s.out)[at] = static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

inline void finish_plain(const Scene& s, const float* pixel, std::int64_t y, std::int64_t x) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
        float value = pixel[c];
        if (s.coloured) {
            value = s.colour[c][3];
            for (std::int64_t k = 0; k < s.channels; ++k) value += s.colour[c][k] * pixel[k];
        }
        value = value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value;
        const std::int64_t at =
            s.planar ? (c * s.out_height + y) * s.out_width + x : (y * s.out_width + x) * s.channels + c;
        put_plain(s, at, value * s.scale[c] + s.shift[c]);
    }
}

inline void plain_row(const Scene& s, std::int64_t row, const RunReach* runs, float* weights) {
    const double* g = s.matrix;
    const auto width = static_cast<double>(s.out_width), height = static_cast<double>(s.out_height);
    float* const down_weights = weights + s.width;
    for (std::int64_t column = 0; column < s.out_width; ++column) {
        double x = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
        if (s.bends) {
            const double per_square = per_square_of(s.out_height, s.out_width);
            const double dx = x - 0.5 * width, dy = y - 0.5 * height, square = (dx * dx + dy * dy) * per_square;
            const double factor = lens_factor(square, s.k1, s.k2);
            x = 0.5 * width + dx * factor, y = 0.5 * height + dy * factor;
        }
        const double w = g[6] * x + (g[7] * y + g[8]);
        const double at_x = (g[0] * x + (g[1] * y + g[2])) / w, at_y = (g[3] * x + (g[4] * y + g[5])) / w;
        const bool inside =
            0.0 <= at_x && at_x <= static_cast<double>(s.width) && 0.0 <= at_y && at_y <= static_cast<double>(s.height);
        if (!inside && s.border == Border::constant) {
            finish_plain(s, s.fill, row, column);
            continue;
        }
        const RunReach& reach = runs[column / run_pixels];
        const PlainTaps across(s, at_x, s.width, reach.across, weights);
        const PlainTaps down(s, at_y, s.height, reach.down, down_weights);
        float pixel[3] = {};
        for (std::int64_t r = 0; r < down.count; ++r) {
            const std::uint8_t* from = s.pixels + ((down.first + r) * s.width + across.first) * s.channels;
            float sums[3] = {};
            for (std::int64_t t = 0; t < across.count; ++t) {
                for (std::int64_t c = 0; c < s.channels; ++c) {
                    sums[c] += weights[t] * static_cast<float>(from[t * s.channels + c]);
                }
            }
            for (std::int64_t c = 0; c < s.channels; ++c) pixel[c] += down_weights[r] * sums[c];
        }
        const float total = across.sum * down.sum;
        for (std::int64_t c = 0; c < s.channels; ++c) pixel[c] /= total;
        finish_plain(s, pixel, row, column);
    }
}

}  // namespace striate::STRIATE_ISA_NAMESPACE
