// One register of floats, for the instruction set this file is compiled for.
//
// `lanes` floats wide: 16 (AVX-512), 8 (AVX2) or 4 (the compiler's own vectors, which every target has, and which are
// NEON's on AArch64). There are `registers` of them. Fused where the set fuses; x86's portable one rounds the product
// too. As everything that kernels use, it lives in the namespace of its set (simd/vector.h says why).
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cstdint>
#include <cstring>

#include "dispatch/caches.h"

namespace striate::STRIATE_ISA_NAMESPACE {

#if defined(__AVX512F__)

using Floats = __m512;
constexpr int lanes = 16, registers = 32;

inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats all(float x) { return _mm512_set1_ps(x); }
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
inline __mmask16 first_lanes(std::int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
inline Floats load_first(const float* from, std::int64_t count) {  // the other lanes are zero; count ≤ lanes
    return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
inline void store_first(float* to, Floats x, std::int64_t count) { _mm512_mask_storeu_ps(to, first_lanes(count), x); }
inline void stream(float* to, Floats x) { _mm512_stream_ps(to, x); }  // past the caches; `to` aligned as a register is
inline void settle_streams() { _mm_sfence(); }                        // for other threads to see what was streamed
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }    // a·b + c
inline Floats minus_product(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }  // c − a·b
inline Floats at_least(Floats least, Floats x) { return _mm512_max_ps(least, x); }               // NaN stays NaN

#elif defined(__AVX2__)

using Floats = __m256;
constexpr int lanes = 8, registers = 16;

inline Floats zeros() { return _mm256_setzero_ps(); }
inline Floats all(float x) { return _mm256_set1_ps(x); }
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Floats x) { _mm256_storeu_ps(to, x); }
inline __m256i first_lanes(std::int64_t count) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}
inline Floats load_first(const float* from, std::int64_t count) { return _mm256_maskload_ps(from, first_lanes(count)); }
// Not by a masked store, which takes AMD's processors some twelve cycles.
inline void store_first(float* to, Floats x, std::int64_t count) {
    if (count == lanes) return _mm256_storeu_ps(to, x);
    __m128 rest = _mm256_castps256_ps128(x);
    if (count & 4) {
        _mm_storeu_ps(to, rest);
        rest = _mm256_extractf128_ps(x, 1);
        to += 4;
    }
    if (count & 2) {
        _mm_storel_pi(reinterpret_cast<__m64*>(to), rest);
        rest = _mm_movehl_ps(rest, rest);
        to += 2;
    }
    if (count & 1) _mm_store_ss(to, rest);
}
inline void stream(float* to, Floats x) { _mm256_stream_ps(to, x); }
inline void settle_streams() { _mm_sfence(); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats minus_product(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
inline Floats at_least(Floats least, Floats x) { return _mm256_max_ps(least, x); }

#else

typedef float Floats __attribute__((vector_size(16)));
constexpr int lanes = 4;

inline Floats zeros() { return Floats{}; }
inline Floats all(float x) { return Floats{x, x, x, x}; }
inline Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
}
inline void store(float* to, Floats x) { std::memcpy(to, &x, sizeof x); }
inline Floats load_first(const float* from, std::int64_t count) {
    Floats x{};
    std::memcpy(&x, from, static_cast<std::size_t>(count) * sizeof(float));
    return x;
}
inline void store_first(float* to, Floats x, std::int64_t count) {
    std::memcpy(to, &x, static_cast<std::size_t>(count) * sizeof(float));
}
inline void stream(float* to, Floats x) { store(to, x); }
inline void settle_streams() {}
inline Floats at_least(Floats least, Floats x) { return x < least ? least : x; }

#if defined(__aarch64__)

constexpr int registers = 32;
inline Floats multiply_add(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
inline Floats minus_product(Floats a, Floats b, Floats c) { return vfmsq_f32(c, a, b); }

#else

constexpr int registers = 16;
inline Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
inline Floats minus_product(Floats a, Floats b, Floats c) { return c - a * b; }

#endif

#endif

inline Floats at_least_zero(Floats x) { return at_least(zeros(), x); }

// The loop that comes next begins with a line of instructions, or a few of them later. Compilers align loops that they
// think are hot, and think so of few: a product's loop that began in the last bytes of a line was up to 1.3 times as
// slow on a busy machine. What is skipped is decoded, so it is no gain before loops of few rounds.
inline __attribute__((always_inline)) void align_loop() { asm volatile(".p2align 6"); }

}  // namespace striate::STRIATE_ISA_NAMESPACE
