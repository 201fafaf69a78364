// The taps of a block of pixels, weighed and summed.
//
// RGB in four groups (augment/lanes.h), each holding 16 bytes, of which 12 are four neighbouring taps of one row, for
// each of its pixels; two shuffles make 16-bit pairs (r0 r1)(g0 g1)(b0 b1) and (r2 r3)(g2 g3)(b2 b3), two
// multiplications of pairs weigh them across, and the float of their sum is weighed down. Grey: four taps are the four
// bytes of a gathered lane.
//
// Reading 16 bytes for 12 may run over the image's end: blocks whose footprints come near it take 12.
#pragma once

#include <cstring>

#include "augment/kernels.h"
#include "augment/lanes.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

constexpr std::int64_t four_nbytes = 12;  // of RGB pixels

// The 16 bytes from `from` on, or as many as hold `taps` pixels.
template <bool near_end, int taps>
inline Bytes16 some_pixels(const std::uint8_t* from) {
    if constexpr (!near_end) return load_bytes(from);
    std::uint8_t bytes[16] = {};
    std::memcpy(bytes, from, 3 * taps);
    return load_bytes(bytes);
}

inline Bytes16 first_pairs() {
    constexpr char z = -128;  // a shuffle writes 0
    return _mm_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z);
}
inline Bytes16 second_pairs() {
    constexpr char z = -128;
    return _mm_setr_epi8(6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z);
}

// Two or four taps of each of a group's pixels, weighed and summed: red, green, blue of each in 32 bits.
template <bool near_end, int taps>
inline Wide weighed(const std::uint8_t* const (&from)[quarters], std::int64_t at, Wide first, Wide second) {
    Bytes16 quarter[quarters];
#pragma GCC unroll 4
    for (int k = 0; k < quarters; ++k) quarter[k] = some_pixels<near_end, taps>(from[k] + at);
    const Wide pixels = four_quarters(quarter);
    const Wide sum = multiply_pairs(shuffled(pixels, first_pairs()), first);
    if constexpr (taps == 2) return sum;
    return add32(sum, multiply_pairs(shuffled(pixels, second_pairs()), second));
}

template <int Q>
inline void group_starts(const std::uint8_t* base, const std::int32_t* offsets, const std::uint8_t* (&from)[quarters]) {
#pragma GCC unroll 4
    for (int k = 0; k < quarters; ++k) from[k] = base + offsets[4 * k + Q];
}

// The footprints of group Q: `pairs` across, two taps or four or more, and `rows` down, or reach.down.taps if that is
// 0.
template <int Q, bool near_end, int taps, int rows>
inline Floats rgb_group(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                        const Floats* down) {
    const std::uint8_t* from[quarters];
    group_starts<Q>(s.pixels, offsets, from);
    const std::int64_t row_nbytes = 3 * s.width, row_count = rows > 0 ? rows : reach.down.taps;
    const Wide first = spread<Q>(pairs[0]), second = spread<Q>(pairs[taps == 2 ? 0 : 1]);
    Floats sum = zeros();
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < row_count; ++r) {
        Wide across = weighed<near_end, taps>(from, r * row_nbytes, first, second);
        if constexpr (rows == 0 && taps == 4) {
            for (std::int64_t p = 2; p < reach.across.pairs; p += 2) {
                across = add32(across, weighed<near_end, 4>(from, r * row_nbytes + p / 2 * four_nbytes,
                                                            spread<Q>(pairs[p]), spread<Q>(pairs[p + 1])));
            }
        }
        sum = multiply_add(floats_of(across), spread<Q>(down[r]), sum);
    }
    return sum;
}

template <bool near_end, int taps, int rows>
void rgb_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
               const Floats* down, Floats (&plane)[3]) {
    const Floats group[4] = {rgb_group<0, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<1, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<2, near_end, taps, rows>(s, offsets, reach, pairs, down),
                             rgb_group<3, near_end, taps, rows>(s, offsets, reach, pairs, down)};
    planes_of(group, plane);
}

// The loops that most footprints take are unrolled: two or four taps across, two to four rows.
template <int taps>
inline void small_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                        const Floats* down, Floats (&plane)[3]) {
    switch (reach.down.taps) {
        case 2: return rgb_block<false, taps, 2>(s, offsets, reach, pairs, down, plane);
        case 3: return rgb_block<false, taps, 3>(s, offsets, reach, pairs, down, plane);
        case 4: return rgb_block<false, taps, 4>(s, offsets, reach, pairs, down, plane);
        default: return rgb_block<false, taps, 0>(s, offsets, reach, pairs, down, plane);
    }
}

inline void any_block(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                      const Floats* down, Floats (&plane)[3]) {
    if (reach.across.pairs == 1) return small_block<2>(s, offsets, reach, pairs, down, plane);
    if (reach.across.pairs == 2) return small_block<4>(s, offsets, reach, pairs, down, plane);
    rgb_block<false, 4, 0>(s, offsets, reach, pairs, down, plane);
}

inline void block_near_end(const Scene& s, const std::int32_t* offsets, const RunReach& reach, const Wide* pairs,
                           const Floats* down, Floats (&plane)[3]) {
    if (reach.across.pairs == 1) return rgb_block<true, 2, 0>(s, offsets, reach, pairs, down, plane);
    rgb_block<true, 4, 0>(s, offsets, reach, pairs, down, plane);
}

// Four taps of each grey pixel, weighed and summed.
inline Wide grey_taps(const std::uint8_t* from, Wide offsets, Wide first, Wide second) {
    constexpr char z = -128;
    const Bytes16 first_two = _mm_setr_epi8(0, z, 1, z, 4, z, 5, z, 8, z, 9, z, 12, z, 13, z);
    const Bytes16 second_two = _mm_setr_epi8(2, z, 3, z, 6, z, 7, z, 10, z, 11, z, 14, z, 15, z);
    const Wide pixels = gathered(from, offsets);
    return add32(multiply_pairs(shuffled(pixels, first_two), first),
                 multiply_pairs(shuffled(pixels, second_two), second));
}

inline Floats grey_block(const Scene& s, Wide offsets, const RunReach& reach, const Wide* pairs, const Floats* down) {
    Floats sum = zeros();
    for (std::int64_t r = 0; r < reach.down.taps; ++r) {
        Wide across = all32(0);
        for (std::int64_t p = 0; p < reach.across.pairs; p += 2) {
            across = add32(across, grey_taps(s.pixels + r * s.width + 2 * p, offsets, pairs[p], pairs[p + 1]));
        }
        sum = multiply_add(floats_of(across), down[r], sum);
    }
    return sum;
}

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
