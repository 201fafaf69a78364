// A square of floats in `lanes` registers, rows to columns: what turns maps into pixels and back.
//
// By doubling: neighbouring rows are interleaved by single floats, then by pairs, then by quarters of a register … From
// memory, quarters are loaded to where they belong, which takes no shuffles, and only quarters are transposed.
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

// columns[x] = float x of each row, of `lanes` rows that lie `stride` apart.
inline void load_transposed(const float* rows, std::int64_t stride, Floats (&columns)[lanes]) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
        Floats part[4];  // part[i]: quarter q of rows i, 4 + i, 8 + i, 12 + i
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const float* from = rows + i * stride + 4 * q;
            part[i] = _mm512_castps128_ps512(_mm_loadu_ps(from));
            part[i] = _mm512_insertf32x4(part[i], _mm_loadu_ps(from + 4 * stride), 1);
            part[i] = _mm512_insertf32x4(part[i], _mm_loadu_ps(from + 8 * stride), 2);
            part[i] = _mm512_insertf32x4(part[i], _mm_loadu_ps(from + 12 * stride), 3);
        }
        const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(part[0], part[1]));
        const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(part[0], part[1]));
        const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(part[2], part[3]));
        const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(part[2], part[3]));
        columns[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        columns[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        columns[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        columns[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
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

// columns[x] = float x of each row, of `lanes` rows that lie `stride` apart.
inline void load_transposed(const float* rows, std::int64_t stride, Floats (&columns)[lanes]) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
        Floats part[4];  // part[i]: half h of rows i and 4 + i
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const float* from = rows + i * stride + 4 * h;
            part[i] =
                _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + 4 * stride), 1);
        }
        const Floats a = _mm256_unpacklo_ps(part[0], part[1]), b = _mm256_unpackhi_ps(part[0], part[1]);
        const Floats c = _mm256_unpacklo_ps(part[2], part[3]), d = _mm256_unpackhi_ps(part[2], part[3]);
        columns[4 * h] = _mm256_shuffle_ps(a, c, 0x44);
        columns[4 * h + 1] = _mm256_shuffle_ps(a, c, 0xee);
        columns[4 * h + 2] = _mm256_shuffle_ps(b, d, 0x44);
        columns[4 * h + 3] = _mm256_shuffle_ps(b, d, 0xee);
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

// columns[x] = float x of each row, of `lanes` rows that lie `stride` apart.
inline void load_transposed(const float* rows, std::int64_t stride, Floats (&columns)[lanes]) {
    for (int i = 0; i < lanes; ++i) columns[i] = load(rows + i * stride);
    transpose(columns);
}

#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE
