// From a block of output pixels to the footprints they have in the source, and the weights of the taps there.
//
// Places are doubles, by the same operations in the same order as in native/ref/warp.cpp: on which side of the border a
// centre falls must not depend on the instruction set. From the footprint's first pixel on, floats do.
#pragma once

#include "augment/kernels.h"
#include "augment/lanes.h"
#include "augment/lens.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

struct Places {
    Doubles x, y;
};

// Where pixels column, column + 1, … of an output row come from; beyond the last column, where the last one does.
inline Places places_of(const Scene& s, std::int64_t row, std::int64_t column) {
    const double* g = s.matrix;
    const double first = static_cast<double>(column) + 0.5, y = static_cast<double>(row) + 0.5;
    const HalfDoubles low = iota_half() + all_half(first);
    Doubles x = {low, low + all_half(lanes / 2)};
    x = smaller(x, all_doubles(static_cast<double>(s.out_width) - 0.5));
    if (!s.bends && !s.divides) {
        return {g[0] * x + all_doubles(g[1] * y + g[2]), g[3] * x + all_doubles(g[4] * y + g[5])};
    }
    Doubles v = all_doubles(y);
    if (s.bends) {
        const auto width = static_cast<double>(s.out_width), height = static_cast<double>(s.out_height);
        const Doubles dx = x - 0.5 * width, dy = v - 0.5 * height;
        const Doubles square = (dx * dx + dy * dy) * all_doubles(per_square_of(s.out_height, s.out_width));
        const Doubles factor = lens_factor(square, s.k1, s.k2);
        x = 0.5 * width + dx * factor;
        v = 0.5 * height + dy * factor;
    }
    const Doubles a = g[0] * x + (g[2] + g[1] * v), b = g[3] * x + (g[5] + g[4] * v);
    if (!s.divides) return {a, b};
    const Doubles w = g[6] * x + (g[8] + g[7] * v);
    return {a / w, b / w};
}

// The same in floats, from the output's centre on: what an inner block takes. Off by less than 2^-22 of the source's
// longer side, which weights, being continuous, do not mind.
struct NearPlaces {
    Floats x, y;
};

// What a row of them shares.
struct NearRow {
    float across[3], down[3], depth[3];  // of the three rows of the matrix: per px across, per px down, at the centre
    float dy, per_square, k1, k2;
    bool bends, divides;

    NearRow(const Scene& s, std::int64_t row) {
        const double* g = s.matrix;
        const double width = static_cast<double>(s.out_width), height = static_cast<double>(s.out_height);
        const double y = static_cast<double>(row) + 0.5 - 0.5 * height;
        bends = s.bends, divides = s.divides;
        dy = static_cast<float>(y), per_square = static_cast<float>(per_square_of(s.out_height, s.out_width));
        k1 = static_cast<float>(s.k1), k2 = static_cast<float>(s.k2);
        for (int r = 0; r < 3; ++r) {
            across[r] = static_cast<float>(g[3 * r]), down[r] = static_cast<float>(g[3 * r + 1]);
            const double centre = g[3 * r] * (0.5 * width) + (g[3 * r + 1] * (0.5 * height) + g[3 * r + 2]);
            depth[r] = static_cast<float>(bends ? centre : centre + g[3 * r + 1] * y);  // a lens bends the row
        }
    }
};

// Of `blocks` blocks, the first of them at dx from the output's centre.
template <bool bends, bool divides>
void near_places_of(const NearRow& shared, Floats dx, std::int64_t blocks, NearPlaces* places) {
    const NearRow row = shared;  // which the places stored might be, for all a compiler knows
    const Floats dy = all(row.dy), square_dy = all(row.dy * row.dy);
    for (std::int64_t b = 0; b < blocks; ++b, dx = dx + all(lanes)) {
        Floats ex = dx, value[3];
        if constexpr (bends) {
            const Floats square = multiply_add(dx, dx, square_dy) * all(row.per_square);
            const Floats factor = lens_factor(square, row.k1, row.k2);
            ex = dx * factor;
            const Floats ey = dy * factor;
            for (int r = 0; r < (divides ? 3 : 2); ++r) {
                value[r] = multiply_add(ex, all(row.across[r]), multiply_add(ey, all(row.down[r]), all(row.depth[r])));
            }
        } else {
            for (int r = 0; r < (divides ? 3 : 2); ++r) {
                value[r] = multiply_add(ex, all(row.across[r]), all(row.depth[r]));
            }
        }
        if constexpr (divides) {
            const Floats nearness = all(1.0f) / value[2];
            places[b] = {value[0] * nearness, value[1] * nearness};
        } else {
            places[b] = {value[0], value[1]};
        }
    }
}

inline void near_places_of(const NearRow& row, Floats dx, std::int64_t blocks, NearPlaces* places) {
    const auto of = row.bends ? (row.divides ? near_places_of<true, true> : near_places_of<true, false>)
                              : (row.divides ? near_places_of<false, true> : near_places_of<false, false>);
    of(row, dx, blocks, places);
}

// Along one axis: the first tap of each pixel's window, and how far its centre lies from the place.
struct Footing {
    Wide first;
    Floats distance;
};

// The window of `window` taps is moved to where the source has them all; taps out of the filter's reach weigh nothing.
inline Footing footing_of(const Scene& s, Doubles at, std::int64_t size, std::int64_t window, const Reach& reach) {
    const auto length = static_cast<double>(size);
    const Doubles zero = all_doubles(0.0), far = all_doubles(length);
    if (s.border == Border::reflect) {
        const Doubles period = all_doubles(2.0 * length);
        const Doubles rest = smaller(larger(at - period * floor(at / period), zero), period);
        at = smaller(rest, period - rest);
    } else {
        at = smaller(larger(at, zero), far);
    }
    if (s.sampler == Sampler::nearest) at = 0.5 + smaller(floor(at), all_doubles(length - 1.0));
    Doubles first = floor(at - (static_cast<double>(reach.half) - 0.5));
    first = larger(smaller(first, all_doubles(static_cast<double>(size - window))), zero);
    return {whole(first), floats_of(0.5 + first - at)};
}

inline Mask inner(Floats x, const Reach& reach) { return both(less(all(reach.low), x), less(x, all(reach.high))); }
inline Mask inner(const NearPlaces& at, const RunReach& reach) {
    return both(inner(at.x, reach.across), inner(at.y, reach.down));
}

// As footing_of, of an inner block.
struct NearFooting {
    Floats first, distance;
};

inline NearFooting near_footing_of(Floats at, const Reach& reach) {
    const Floats first = floor(at - all(reach.before));
    return {first, first + all(0.5f) - at};
}

// The runs of row y: `scale` source pixels across and down for each, from the lens's and the map's derivatives at its
// middle (native/ref/warp.cpp has the formula).
inline void stretches_of(const Scene& s, std::int64_t row, std::int64_t runs, float* across, float* down) {
    const double* g = s.matrix;
    const auto width = static_cast<double>(s.out_width), height = static_cast<double>(s.out_height);
    const double per_square = per_square_of(s.out_height, s.out_width);
    const Doubles one = all_doubles(1.0), zero = all_doubles(0.0);
    for (std::int64_t i = 0; i < runs; i += lanes) {
        const HalfDoubles low = iota_half() * all_half(run_pixels) + all_half(static_cast<double>(i * run_pixels));
        const Doubles begin = {low, low + all_half(lanes / 2 * run_pixels)};
        const Doubles end = smaller(begin + all_doubles(run_pixels), all_doubles(width));
        Doubles x = all_doubles(0.5) * (smaller(begin, all_doubles(width)) + end);
        Doubles y = all_doubles(static_cast<double>(row) + 0.5), xx = one, xy = zero, yy = one;
        if (s.bends) {
            const Doubles dx = x - 0.5 * width, dy = y - 0.5 * height;
            const Doubles square = (dx * dx + dy * dy) * all_doubles(per_square);
            const Doubles factor = lens_factor(square, s.k1, s.k2);
            const Doubles slope = lens_slope(square, s.k1, s.k2, per_square);
            xx = factor + slope * dx * dx, xy = slope * dx * dy, yy = factor + slope * dy * dy;
            x = 0.5 * width + dx * factor, y = 0.5 * height + dy * factor;
        }
        const Doubles nearness = s.divides ? one / (g[6] * x + (g[8] + g[7] * y)) : one;
        const auto stretch = [&](const double* r) {
            const Doubles value = (r[0] * x + (r[2] + r[1] * y)) * nearness;
            const Doubles a = all_doubles(r[0]) - g[6] * value, b = all_doubles(r[1]) - g[7] * value;
            const Doubles p = (a * xx + b * xy) * nearness, q = (a * xy + b * yy) * nearness;
            return floats_of(larger(root(p * p + q * q), one));
        };
        store(across + i, stretch(g));
        store(down + i, stretch(g + 3));
    }
}

// The filter at `distance` pixels, times `one`; `per_pixel` is 1 / scale.
template <bool cubic>
inline Floats weight_at(Floats distance, Floats per_pixel, float one) {
    const Floats x = absolute(distance) * per_pixel;
    if constexpr (!cubic) return most(minus_product(x, all(one), all(one)), zeros());
    const Floats near = multiply_add(multiply_add(all(1.5f * one), x, all(-2.5f * one)) * x, x, all(one));
    const Floats far = multiply_add(
        multiply_add(multiply_add(all(-0.5f * one), x, all(2.5f * one)), x, all(-4.0f * one)), x, all(2.0f * one));
    return choose(less(x, all(1.0f)), near, choose(less(x, all(2.0f)), far, zeros()));
}

// Weights across in fixed point, two taps in each 32 bits, to pairs[reach.pairs]; returns their sum.
template <bool cubic>
inline Floats weigh_across(Floats distance, const Reach& reach, Wide* pairs) {
    constexpr float one = 1 << across_bits;
    const Floats per_pixel = all(reach.per_pixel);
    Wide sum = all32(0);
    for (std::int64_t p = 0; p < reach.pairs; ++p) {
        const Wide a = rounded(weight_at<cubic>(distance, per_pixel, one));
        const Wide b = rounded(weight_at<cubic>(distance + all(1.0f), per_pixel, one));
        distance = distance + all(2.0f);
        sum = add32(sum, add32(a, b));
        pairs[p] = pair16(a, b);
    }
    return floats_of(sum);
}

// Two taps of a triangle that is not widened: they share one whole, so nothing is left to divide by.
inline void weigh_two_across(Floats distance, Wide* pairs) {
    constexpr float one = 1 << across_bits;
    const Wide far = rounded(distance * all(-one));  // the first tap lies at `distance`, from −1 to 0
    pairs[0] = pair16(subtract32(all32(1 << across_bits), far), far);
}

template <bool cubic>
inline Floats weigh_down(Floats distance, const Reach& reach, Floats* weights) {
    const Floats per_pixel = all(reach.per_pixel);
    Floats sum = zeros();
    for (std::int64_t r = 0; r < reach.taps; ++r) {
        weights[r] = weight_at<cubic>(distance, per_pixel, 1.0f);
        distance = distance + all(1.0f);
        sum = sum + weights[r];
    }
    return sum;
}

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
