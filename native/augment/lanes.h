// `lanes` pixels at once: their places as doubles, their taps as bytes, 16-bit pairs and 32-bit sums, for AVX2 and
// AVX-512.
//
// A register is quarters of 16 bytes. Taps are taken in four groups: group q has in its quarter k what pixel 4 k + q
// needs, so that a number that belongs to a pixel comes to its quarter by a shuffle within quarters, and four groups'
// (red, green, blue, –) become planes of neighbouring pixels by unpacking.
#pragma once

#include <cstring>

#include "simd/floats.h"
#include "simd/vector.h"

#if defined(STRIATE_VECTORS)

namespace striate::STRIATE_ISA_NAMESPACE {

constexpr int quarters = lanes / 4;

#if defined(__AVX512F__)

using HalfDoubles = __m512d;
using Mask = __mmask16;

inline HalfDoubles all_half(double x) { return _mm512_set1_pd(x); }
inline HalfDoubles iota_half() { return _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7); }
inline HalfDoubles floor(HalfDoubles x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
inline HalfDoubles root(HalfDoubles x) { return _mm512_sqrt_pd(x); }
inline Floats floor(Floats x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
inline Floats iota() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
inline HalfDoubles smaller(HalfDoubles a, HalfDoubles b) { return _mm512_min_pd(a, b); }
inline HalfDoubles larger(HalfDoubles a, HalfDoubles b) { return _mm512_max_pd(a, b); }
inline Floats narrowed(HalfDoubles low, HalfDoubles high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
inline Wide whole(HalfDoubles low, HalfDoubles high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvttpd_epi32(low)), _mm512_cvttpd_epi32(high), 1);
}
inline Mask within(HalfDoubles low, HalfDoubles high, double most) {  // 0 ≤ x ≤ most
    const HalfDoubles zero = _mm512_setzero_pd(), limit = all_half(most);
    const auto one = [&](HalfDoubles x) {
        return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(x, zero, _CMP_GE_OQ), x, limit, _CMP_LE_OQ);
    };
    return static_cast<Mask>(one(low) | one(high) << 8);
}
inline Mask every_lane() { return 0xffff; }
inline bool none(Mask m) { return m == 0; }
inline bool every(Mask m) { return m == 0xffff; }
inline Mask both(Mask a, Mask b) { return a & b; }
inline Floats choose(Mask m, Floats yes, Floats no) { return _mm512_mask_blend_ps(m, no, yes); }
inline Mask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline bool any_above(Wide x, std::int32_t limit) { return _mm512_cmpgt_epi32_mask(x, all32(limit)) != 0; }

inline Floats absolute(Floats x) { return _mm512_abs_ps(x); }
inline Floats least(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats most(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Wide rounded(Floats x) { return _mm512_cvtps_epi32(x); }  // to the nearest
inline Wide cut(Floats x) { return _mm512_cvttps_epi32(x); }     // towards 0
inline Floats floats_of(Wide x) { return _mm512_cvtepi32_ps(x); }
inline Wide bits_of(Floats x) { return _mm512_castps_si512(x); }
inline Wide multiply32(Wide a, Wide b) { return _mm512_mullo_epi32(a, b); }
inline Wide pair16(Wide low, Wide high) {  // two 16-bit numbers in each 32 bits
    return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
}
inline Wide subtract32(Wide a, Wide b) { return _mm512_sub_epi32(a, b); }
inline Wide bit_and(Wide a, Wide b) { return _mm512_and_si512(a, b); }
inline Wide shift_right_unsigned32(Wide x, unsigned bits) { return _mm512_srli_epi32(x, bits); }
inline void store32(std::int32_t* to, Wide x) { _mm512_storeu_si512(to, x); }

template <int Q>  // 32-bit number Q of each quarter, throughout the quarter
inline Wide spread(Wide x) {
    return _mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(Q * 0x55));
}
template <int Q>
inline Floats spread(Floats x) {
    return _mm512_permute_ps(x, Q * 0x55);
}
inline Wide shuffled(Wide bytes, Bytes16 table) { return _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(table)); }
inline Wide four_quarters(const Bytes16 (&q)[quarters]) {
    return _mm512_inserti32x4(_mm512_inserti32x4(_mm512_inserti32x4(_mm512_castsi128_si512(q[0]), q[1], 1), q[2], 2),
                              q[3], 3);
}
inline Wide gathered(const std::uint8_t* from, Wide offsets) { return _mm512_i32gather_epi32(offsets, from, 1); }
inline Floats unpacked_low(Floats a, Floats b) { return _mm512_unpacklo_ps(a, b); }
inline Floats unpacked_high(Floats a, Floats b) { return _mm512_unpackhi_ps(a, b); }
template <int Choice>
inline Floats shuffled(Floats a, Floats b) {
    return _mm512_shuffle_ps(a, b, Choice);
}
template <int K>
inline __m128 quarter(Floats x) {
    return _mm512_extractf32x4_ps(x, K);
}
inline void store_words(std::uint16_t* to, Wide x) {  // the lower half of each 32 bits
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(x));
}
inline Bytes16 bytes_of(Wide x) { return _mm512_cvtepi32_epi8(x); }  // of numbers from 0 to 255
inline void store_bytes(std::uint8_t* to, Wide x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes_of(x)); }

#else

using HalfDoubles = __m256d;
using Mask = __m256;  // all bits of a lane, or none

inline HalfDoubles all_half(double x) { return _mm256_set1_pd(x); }
inline HalfDoubles iota_half() { return _mm256_setr_pd(0, 1, 2, 3); }
inline HalfDoubles floor(HalfDoubles x) { return _mm256_floor_pd(x); }
inline HalfDoubles root(HalfDoubles x) { return _mm256_sqrt_pd(x); }
inline Floats floor(Floats x) { return _mm256_floor_ps(x); }
inline Floats iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
inline HalfDoubles smaller(HalfDoubles a, HalfDoubles b) { return _mm256_min_pd(a, b); }
inline HalfDoubles larger(HalfDoubles a, HalfDoubles b) { return _mm256_max_pd(a, b); }
inline Floats narrowed(HalfDoubles low, HalfDoubles high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}
inline Wide whole(HalfDoubles low, HalfDoubles high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvttpd_epi32(low)), _mm256_cvttpd_epi32(high), 1);
}
inline Mask within(HalfDoubles low, HalfDoubles high, double most) {
    const HalfDoubles zero = _mm256_setzero_pd(), limit = all_half(most);
    const auto one = [&](HalfDoubles x) {
        return _mm256_castpd_ps(_mm256_and_pd(_mm256_cmp_pd(x, zero, _CMP_GE_OQ), _mm256_cmp_pd(x, limit, _CMP_LE_OQ)));
    };
    const __m256 mixed = _mm256_shuffle_ps(one(low), one(high), 0x88);  // quarters: low 01, high 01, low 23, high 23
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}
inline Mask every_lane() { return _mm256_castsi256_ps(_mm256_set1_epi32(-1)); }
inline bool none(Mask m) { return _mm256_movemask_ps(m) == 0; }
inline bool every(Mask m) { return _mm256_movemask_ps(m) == 0xff; }
inline Mask both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
inline Floats choose(Mask m, Floats yes, Floats no) { return _mm256_blendv_ps(no, yes, m); }
inline Mask less(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline bool any_above(Wide x, std::int32_t limit) {
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(x, all32(limit))) != 0;
}

inline Floats absolute(Floats x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
inline Floats least(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats most(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Wide rounded(Floats x) { return _mm256_cvtps_epi32(x); }
inline Wide cut(Floats x) { return _mm256_cvttps_epi32(x); }
inline Floats floats_of(Wide x) { return _mm256_cvtepi32_ps(x); }
inline Wide bits_of(Floats x) { return _mm256_castps_si256(x); }
inline Wide multiply32(Wide a, Wide b) { return _mm256_mullo_epi32(a, b); }
inline Wide pair16(Wide low, Wide high) { return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa); }
inline Wide subtract32(Wide a, Wide b) { return _mm256_sub_epi32(a, b); }
inline Wide bit_and(Wide a, Wide b) { return _mm256_and_si256(a, b); }
inline Wide shift_right_unsigned32(Wide x, int bits) { return _mm256_srli_epi32(x, bits); }
inline void store32(std::int32_t* to, Wide x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }

template <int Q>
inline Wide spread(Wide x) {
    return _mm256_shuffle_epi32(x, Q * 0x55);
}
template <int Q>
inline Floats spread(Floats x) {
    return _mm256_permute_ps(x, Q * 0x55);
}
inline Wide shuffled(Wide bytes, Bytes16 table) {
    return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(table));
}
inline Wide four_quarters(const Bytes16 (&q)[quarters]) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(q[0]), q[1], 1);
}
inline Wide gathered(const std::uint8_t* from, Wide offsets) {
    return _mm256_i32gather_epi32(reinterpret_cast<const int*>(from), offsets, 1);
}
inline Floats unpacked_low(Floats a, Floats b) { return _mm256_unpacklo_ps(a, b); }
inline Floats unpacked_high(Floats a, Floats b) { return _mm256_unpackhi_ps(a, b); }
template <int Choice>
inline Floats shuffled(Floats a, Floats b) {
    return _mm256_shuffle_ps(a, b, Choice);
}
template <int K>
inline __m128 quarter(Floats x) {
    return _mm256_extractf128_ps(x, K);
}
inline void store_words(std::uint16_t* to, Wide x) {
    const Wide low = _mm256_and_si256(x, all32(0xffff));
    const Wide packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
}
inline Bytes16 bytes_of(Wide x) {  // of numbers from 0 to 255; the upper half repeats the lower
    const Wide words = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, x), 0x08);
    const __m128i low = _mm256_castsi256_si128(words);
    return _mm_packus_epi16(low, low);
}
inline void store_bytes(std::uint8_t* to, Wide x) { _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes_of(x)); }

#endif

// A double for each lane.
struct Doubles {
    HalfDoubles low, high;
};

inline Doubles all_doubles(double x) { return {all_half(x), all_half(x)}; }
inline Doubles operator+(Doubles a, Doubles b) { return {a.low + b.low, a.high + b.high}; }
inline Doubles operator-(Doubles a, Doubles b) { return {a.low - b.low, a.high - b.high}; }
inline Doubles operator*(Doubles a, Doubles b) { return {a.low * b.low, a.high * b.high}; }
inline Doubles operator/(Doubles a, Doubles b) { return {a.low / b.low, a.high / b.high}; }
inline Doubles operator+(double a, Doubles b) { return all_doubles(a) + b; }
inline Doubles operator-(Doubles a, double b) { return a - all_doubles(b); }
inline Doubles operator*(double a, Doubles b) { return all_doubles(a) * b; }
inline Doubles root(Doubles x) { return {root(x.low), root(x.high)}; }
inline Doubles floor(Doubles x) { return {floor(x.low), floor(x.high)}; }
inline Doubles smaller(Doubles a, Doubles b) { return {smaller(a.low, b.low), smaller(a.high, b.high)}; }
inline Doubles larger(Doubles a, Doubles b) { return {larger(a.low, b.low), larger(a.high, b.high)}; }
inline Floats floats_of(Doubles x) { return narrowed(x.low, x.high); }
inline Wide whole(Doubles x) { return whole(x.low, x.high); }
inline Mask within(Doubles x, double most) { return within(x.low, x.high, most); }

// Four groups' quarters (red, green, blue, –) to planes of pixels in order.
inline void planes_of(const Floats (&group)[4], Floats (&plane)[3]) {
    const Floats low01 = unpacked_low(group[0], group[1]), low23 = unpacked_low(group[2], group[3]);
    const Floats high01 = unpacked_high(group[0], group[1]), high23 = unpacked_high(group[2], group[3]);
    plane[0] = shuffled<0x44>(low01, low23);
    plane[1] = shuffled<0xee>(low01, low23);
    plane[2] = shuffled<0x44>(high01, high23);
}

// Three floats of each quarter, quarter by quarter: pixel 4 k + q is in quarter k of pixel[q]. A pixel's fourth float
// is overwritten by the next pixel; the last has none.
template <int K = 0>
inline void store_quarters(float* to, const Floats (&pixel)[4]) {
    const __m128 four[4] = {quarter<K>(pixel[0]), quarter<K>(pixel[1]), quarter<K>(pixel[2]), quarter<K>(pixel[3])};
    for (int q = 0; q < 3; ++q) _mm_storeu_ps(to + 12 * K + 3 * q, four[q]);
    if constexpr (K + 1 < quarters) {
        _mm_storeu_ps(to + 12 * K + 9, four[3]);
        store_quarters<K + 1>(to, pixel);
    } else {
        float last[4];
        _mm_storeu_ps(last, four[3]);
        std::memcpy(to + 12 * K + 9, last, 12);
    }
}

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
