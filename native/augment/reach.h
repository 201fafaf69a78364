// How far the filter reaches from each run of output pixels: `lanes` runs at a time, in the compiler's own vectors,
// which every instruction set has.
#pragma once

#include <cstring>

#include "augment/kernels.h"
#include "simd/bounds.h"
#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

using Counts = std::int32_t __attribute__((vector_size(4 * lanes)));

// Along one axis, an output pixel covering scales[i] of the source's pixels in run i.
template <bool is_across>
void set_reaches_along(const Scene& s, const float* scales, std::int64_t count, RunReach* runs) {
    constexpr float missed = 1e-5f;  // px: a rotation's scale is 1 but for rounding, and wants no third tap
    constexpr float margin = 0.01f;  // px: far more than floats are off by
    constexpr float little = 1.125f, never = 4.0f, always = -4.0f;
    const auto size = static_cast<std::int32_t>(is_across ? s.width : s.height);
    const Floats most = all(static_cast<float>(size));
    for (std::int64_t first = 0; first < count; first += lanes) {
        Floats half = load(scales + first), per_pixel = all(1.0f) / half;
        if (s.sampler == Sampler::nearest) half = all(0.5f), per_pixel = all(1.0f);
        if (s.sampler == Sampler::bicubic) half = half + half;
        const Floats reached = half + half - all(missed), seen = reached < most ? reached : most;
        Counts taps = __builtin_convertvector(seen, Counts);
        taps -= __builtin_convertvector(taps, Floats) < seen;  // rounded up: a comparison that holds is −1
        Counts pairs = (taps + 3) / 4 * 2;
        if (s.channels == 3) pairs = taps <= 2 ? pairs * 0 + 1 : pairs;
        const Floats before = half - all(0.5f);
        // Places of windows that lie in the source; 16 bytes are read across where 12 would do.
        const Counts window = !is_across ? taps : pairs <= 2 ? pairs * 0 + 6 : 2 * pairs + 2;
        const Floats high = __builtin_convertvector(size - window, Floats) + (before - all(margin));
        // Of three taps the last is within reach of few pixels while the filter is little wider than two.
        const Floats third = (taps == 3) & (half <= all(little)) ? half - all(2.0f) : all(never);
        const Floats two_from = taps == 2 ? all(always) : third;

        const Floats floats[6] = {half, per_pixel, before, half + all(margin), high, two_from};
        float values[6][lanes];
        std::int32_t tap_counts[lanes], pair_counts[lanes];
        for (int i = 0; i < 6; ++i) store(values[i], floats[i]);
        std::memcpy(tap_counts, &taps, sizeof taps), std::memcpy(pair_counts, &pairs, sizeof pairs);
        const auto here = static_cast<int>(smaller(lanes, count - first));
        for (int i = 0; i < here; ++i) {
            Reach& reach = is_across ? runs[first + i].across : runs[first + i].down;
            reach.half = values[0][i], reach.per_pixel = values[1][i];
            reach.taps = tap_counts[i], reach.pairs = pair_counts[i];
            reach.before = values[2][i], reach.low = values[3][i], reach.high = values[4][i];
            reach.two_from = values[5][i];
        }
    }
}

inline void set_reaches(const Scene& s, const float* across, const float* down, std::int64_t count, RunReach* runs) {
    set_reaches_along<true>(s, across, count, runs);
    set_reaches_along<false>(s, down, count, runs);
    // Two taps a pixel apart weigh 1 − |d| p and 1 − |d + 1| p: 2 − p together, wherever d lies between −1 and 0.
    for (std::int64_t first = 0; first < count; first += lanes) {
        const Floats two = all(2.0f), sum_down = two - all(1.0f) / load(down + first);
        const Floats sum_across = (two - all(1.0f) / load(across + first)) * all(1 << across_bits) + all(0.5f);
        const Counts sum = __builtin_convertvector(sum_across, Counts);
        std::int32_t sums[lanes];
        float normals[lanes];
        std::memcpy(sums, &sum, sizeof sum);
        store(normals, all(1.0f) / (__builtin_convertvector(sum, Floats) * sum_down));
        const auto here = static_cast<int>(smaller(lanes, count - first));
        for (int i = 0; i < here; ++i) runs[first + i].two_sum = sums[i], runs[first + i].two_normal = normals[i];
    }
}

}  // namespace striate::STRIATE_ISA_NAMESPACE
