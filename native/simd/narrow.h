// Registers of floats from bfloat16 numbers in memory and back, rounded to nearest, to even: beside simd/floats.h, and
// under the same names, so that what is written for the one reads and writes the other.
#pragma once

#include "bfloat16/number.h"
#include "simd/transpose.h"

namespace striate::STRIATE_ISA_NAMESPACE {

// The numbers of 2 · lanes neighbours, those at even places and those at odd ones.
struct Pairs {
    Floats even, odd;
};

#if defined(__AVX512F__)

inline __m512i words_of(Floats x) { return _mm512_castps_si512(x); }
inline Floats floats_of(__m512i bits) { return _mm512_castsi512_ps(bits); }
inline Floats widened(__m256i narrow) { return floats_of(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16)); }

#if defined(__AVX512BF16__)
inline __m256i narrowed(Floats x) { return __m256i(_mm512_cvtneps_pbh(x)); }
#else
inline __m256i narrowed(Floats x) {
    const __m512i bits = words_of(x);
    const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), even);
    const __mmask16 unordered = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_or_epi32(rounded, unordered, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
}
#endif

// What x has beyond the bfloat16 number that it is rounded to: exact.
inline Floats rest_of(Floats x) { return x - widened(narrowed(x)); }

inline Floats load(const Bfloat16* from) { return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
inline Floats load_first(const Bfloat16* from, std::int64_t count) {
    return widened(_mm256_maskz_loadu_epi16(first_lanes(count), from));
}
inline void store(Bfloat16* to, Floats x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed(x)); }
inline void store_first(Bfloat16* to, Floats x, std::int64_t count) {
    _mm256_mask_storeu_epi16(to, first_lanes(count), narrowed(x));
}

inline Pairs pairs_of(__m512i words) {
    return {floats_of(_mm512_slli_epi32(words, 16)),
            floats_of(_mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline Pairs load_pairs(const Bfloat16* from) { return pairs_of(_mm512_loadu_si512(from)); }
inline Pairs all_pairs(const Bfloat16* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return pairs_of(_mm512_set1_epi32(word));
}
inline void store_pairs(Bfloat16* to, Floats even, Floats odd) {
    const __m512i low = _mm512_cvtepu16_epi32(narrowed(even)), high = _mm512_cvtepu16_epi32(narrowed(odd));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

#elif defined(__AVX2__)

inline __m256i words_of(Floats x) { return _mm256_castps_si256(x); }
inline Floats floats_of(__m256i bits) { return _mm256_castsi256_ps(bits); }
inline Floats widened(__m128i narrow) { return floats_of(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16)); }

// Each in the lower half of a word.
inline __m256i rounded_words(Floats x) {
    const __m256i bits = words_of(x);
    const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), even);
    const __m256i unordered = words_of(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, unordered), 16);
}
inline Floats rest_of(Floats x) { return x - floats_of(_mm256_slli_epi32(rounded_words(x), 16)); }
inline __m128i narrowed(Floats x) {
    const __m256i words = rounded_words(x);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08));
}

inline Floats load(const Bfloat16* from) { return widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }
inline Floats load_first(const Bfloat16* from, std::int64_t count) {
    Bfloat16 part[lanes] = {};
    std::memcpy(part, from, static_cast<std::size_t>(count) * sizeof(Bfloat16));
    return load(part);
}
inline void store(Bfloat16* to, Floats x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrowed(x)); }
inline void store_first(Bfloat16* to, Floats x, std::int64_t count) {
    Bfloat16 part[lanes];
    store(part, x);
    std::memcpy(to, part, static_cast<std::size_t>(count) * sizeof(Bfloat16));
}

inline Pairs pairs_of(__m256i words) {
    return {floats_of(_mm256_slli_epi32(words, 16)),
            floats_of(_mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline Pairs load_pairs(const Bfloat16* from) {
    return pairs_of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Pairs all_pairs(const Bfloat16* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    return pairs_of(_mm256_set1_epi32(word));
}
inline void store_pairs(Bfloat16* to, Floats even, Floats odd) {
    const __m256i words = _mm256_or_si256(rounded_words(even), _mm256_slli_epi32(rounded_words(odd), 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words);
}

#else

inline Floats load(const Bfloat16* from) {
    return Floats{as_float(from[0]), as_float(from[1]), as_float(from[2]), as_float(from[3])};
}
inline Floats load_first(const Bfloat16* from, std::int64_t count) {
    Floats x{};
    for (std::int64_t i = 0; i < count; ++i) x[i] = as_float(from[i]);
    return x;
}
inline void store_first(Bfloat16* to, Floats x, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) put_float(x[i], to + i);
}
inline void store(Bfloat16* to, Floats x) { store_first(to, x, lanes); }
inline Floats rest_of(Floats x) {
    Bfloat16 narrow[lanes];
    store(narrow, x);
    return x - load(narrow);
}

inline Pairs load_pairs(const Bfloat16* from) {
    Pairs pairs;
    for (int i = 0; i < lanes; ++i) pairs.even[i] = as_float(from[2 * i]), pairs.odd[i] = as_float(from[2 * i + 1]);
    return pairs;
}
inline Pairs all_pairs(const Bfloat16* from) { return {all(as_float(from[0])), all(as_float(from[1]))}; }
inline void store_pairs(Bfloat16* to, Floats even, Floats odd) {
    for (int i = 0; i < lanes; ++i) put_float(even[i], to + 2 * i), put_float(odd[i], to + 2 * i + 1);
}

#endif

// columns[x] = number x of each row, of `lanes` rows that lie `stride` apart.
inline void load_transposed(const Bfloat16* rows, std::int64_t stride, Floats (&columns)[lanes]) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) columns[i] = load(rows + i * stride);
    transpose(columns);
}

}  // namespace striate::STRIATE_ISA_NAMESPACE
