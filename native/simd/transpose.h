// A square of floats in `lanes` registers, rows to columns: what turns maps into pixels and back.
//
// By doubling: neighbouring rows are interleaved by single floats, then by pairs, then by quarters of a register …
#pragma once

#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

#if defined(__AVX512F__)

inline void transpose(Floats (&rows)[lanes]) {
    Floats pairs[16], fours[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // fours[4 i + q]: column q of each quarter, of rows 4 i to 4 i + 3
        const __m512d a = _mm512_castps_pd(pairs[4 * i]), b = _mm512_castps_pd(pairs[4 * i + 2]);
        const __m512d c = _mm512_castps_pd(pairs[4 * i + 1]), d = _mm512_castps_pd(pairs[4 * i + 3]);
        fours[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        fours[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        fours[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
        fours[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {  // quarters (0, 2) and (1, 3) of the upper and the lower eight rows, then of both
        const Floats even_up = _mm512_shuffle_f32x4(fours[q], fours[4 + q], 0x88);
        const Floats odd_up = _mm512_shuffle_f32x4(fours[q], fours[4 + q], 0xdd);
        const Floats even_down = _mm512_shuffle_f32x4(fours[8 + q], fours[12 + q], 0x88);
        const Floats odd_down = _mm512_shuffle_f32x4(fours[8 + q], fours[12 + q], 0xdd);
        rows[q] = _mm512_shuffle_f32x4(even_up, even_down, 0x88);
        rows[8 + q] = _mm512_shuffle_f32x4(even_up, even_down, 0xdd);
        rows[4 + q] = _mm512_shuffle_f32x4(odd_up, odd_down, 0x88);
        rows[12 + q] = _mm512_shuffle_f32x4(odd_up, odd_down, 0xdd);
    }
}

#elif defined(__AVX2__)

inline void transpose(Floats (&rows)[lanes]) {
    Floats pairs[8], fours[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
        fours[4 * i] = _mm256_shuffle_ps(pairs[4 * i], pairs[4 * i + 2], 0x44);
        fours[4 * i + 1] = _mm256_shuffle_ps(pairs[4 * i], pairs[4 * i + 2], 0xee);
        fours[4 * i + 2] = _mm256_shuffle_ps(pairs[4 * i + 1], pairs[4 * i + 3], 0x44);
        fours[4 * i + 3] = _mm256_shuffle_ps(pairs[4 * i + 1], pairs[4 * i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
        rows[q] = _mm256_permute2f128_ps(fours[q], fours[4 + q], 0x20);
        rows[4 + q] = _mm256_permute2f128_ps(fours[q], fours[4 + q], 0x31);
    }
}

#else

inline void transpose(Floats (&rows)[lanes]) {
    const Floats a = rows[0], b = rows[1], c = rows[2], d = rows[3];
    rows[0] = Floats{a[0], b[0], c[0], d[0]};
    rows[1] = Floats{a[1], b[1], c[1], d[1]};
    rows[2] = Floats{a[2], b[2], c[2], d[2]};
    rows[3] = Floats{a[3], b[3], c[3], d[3]};
}

#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE
