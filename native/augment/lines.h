// The taps of a block of RGB pixels that lie near each other in the source: from lines of 64 bytes, of which a
// permutation takes two taps of one colour for every pixel (AVX512_VBMI).
//
// What footprints.h reads pixel by pixel, 32 loads for two rows, is here a load and three permutations for each row of
// the source that any of the pixels sees. A pixel's weight of a row beyond its filter's reach is zero.
#pragma once

#include "augment/kernels.h"
#include "augment/places.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

#if defined(__AVX512VBMI__)

constexpr std::int64_t line_nbytes = 64;
constexpr float farthest = (line_nbytes - 6) / 3;  // pixels from the line's first to where two taps may begin

// Whether blocks are worth a try: with twice the rows that a pixel sees, pixels one by one are as fast.
inline bool may_go_by_lines(const Scene& s, const RunReach& reach) {
    if (s.channels != 3) return false;
    if (s.bends || s.divides) return true;
    const double across = (lanes - 1) * s.matrix[0], down = (lanes - 1) * s.matrix[3];
    return across <= farthest && -across <= farthest && down <= reach.down.taps && -down <= reach.down.taps;
}

inline float first_lane(Floats x) { return _mm512_cvtss_f32(x); }
inline float last_lane(Floats x) {
    const __m512i bits = _mm512_castps_si512(x);
    return _mm512_cvtss_f32(_mm512_castsi512_ps(_mm512_alignr_epi32(bits, bits, lanes - 1)));
}

// Whole numbers between which all of x lie.
struct Span {
    float low, high;
};

// By the ends, which are the extremes but where the map bends, and one beyond them where it does. False for more.
inline bool find_span(Floats x, Span& span) {
    const float a = first_lane(x), b = last_lane(x);
    span = {a < b ? a : b, a < b ? b : a};
    const auto outside = [&] {
        return _mm512_cmp_ps_mask(x, all(span.low), _CMP_LT_OQ) | _mm512_cmp_ps_mask(x, all(span.high), _CMP_GT_OQ);
    };
    if (outside() == 0) return true;
    span.low -= 1.0f, span.high += 1.0f;
    return outside() == 0;
}

// The sums of an inner block, whose windows begin at (first_x, first_y) for places that lie y down, with weights down
// that are multiples of `one`; and the sum of those. False, and nothing done, where the pixels lie too far apart for
// it.
template <bool cubic>
inline bool block_by_lines(const Scene& s, Floats first_x, Floats first_y, Floats y, const RunReach& reach,
                           const Wide* pairs, float one, Floats& down_sum, Floats (&plane)[3]) {
    Span across, down;
    if (!find_span(first_x, across) || !find_span(first_y, down)) return false;
    const float left = across.low < 0.0f ? 0.0f : across.low, top = down.low < 0.0f ? 0.0f : down.low;
    const float last = down.high + static_cast<float>(reach.down.taps), height = static_cast<float>(s.height);
    const float bottom = last < height ? last : height;
    if (across.high - left > farthest || bottom - top > static_cast<float>(2 * reach.down.taps)) return false;
    const auto first_row = static_cast<std::int64_t>(top), rows = static_cast<std::int64_t>(bottom - top);
    const std::int64_t pair_count = (reach.across.taps + 1) / 2, row_nbytes = 3 * s.width;
    const std::int64_t start = first_row * row_nbytes + 3 * static_cast<std::int64_t>(left);
    if (start + (rows - 1) * row_nbytes + 6 * (pair_count - 1) + line_nbytes > s.height * row_nbytes) return false;

    const Wide pixel = cut(first_x - all(left)), red = add32(pixel, add32(pixel, pixel));
    const Wide reds = _mm512_or_si512(red, _mm512_slli_epi32(add32(red, all32(3)), 16));
    const Wide places[3] = {reds, add32(reds, all32(0x10001)), add32(reds, all32(0x20002))};
    const std::uint8_t* line = s.pixels + start;
    Floats distance = all(top + 0.5f) - y;
    down_sum = plane[0] = plane[1] = plane[2] = zeros();
    for (std::int64_t r = 0; r < rows; ++r, line += row_nbytes) {
        const Floats weight = weight_at<cubic>(distance, all(reach.down.per_pixel), one);
        distance = distance + all(1.0f);
        down_sum = down_sum + weight;
        const auto weighed = [&](int c, std::int64_t p) {  // a byte of every two: 16 bits each
            const Wide bytes = load_wide(line + 6 * p);
            return multiply_pairs(_mm512_maskz_permutexvar_epi8(0x5555555555555555, places[c], bytes), pairs[p]);
        };
        Wide sums[3] = {weighed(0, 0), weighed(1, 0), weighed(2, 0)};
        for (std::int64_t p = 1; p < pair_count; ++p) {
            for (int c = 0; c < 3; ++c) sums[c] = add32(sums[c], weighed(c, p));
        }
        for (int c = 0; c < 3; ++c) plane[c] = multiply_add(floats_of(sums[c]), weight, plane[c]);
    }
    return true;
}

#else

inline bool may_go_by_lines(const Scene&, const RunReach&) { return false; }

template <bool cubic>
inline bool block_by_lines(const Scene&, Floats, Floats, Floats, const RunReach&, const Wide*, float, Floats&,
                           Floats (&)[3]) {
    return false;
}

#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
