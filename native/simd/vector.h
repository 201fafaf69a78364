// The few vector operations the kernels are written in, for the instruction set this file is compiled for.
//
// STRIATE_VECTORS is defined where there are any (AVX2, AVX-512); elsewhere kernels take their plain loops. Everything
// lives in the namespace of the set, so that no code compiled for a wide one can end up in a narrow one's place; for
// the same reason kernel files use nothing of the standard library but types and memcpy.
#pragma once

#if defined(__AVX2__)

#include <immintrin.h>

#include <cstdint>

#define STRIATE_VECTORS

namespace striate::STRIATE_ISA_NAMESPACE {

using Bytes16 = __m128i;

inline Bytes16 load_bytes(const std::uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }

#if defined(__AVX512BW__)

// One register of bytes, or of the 16-bit and 32-bit numbers made of them. Unpacking and packing work within each 16
// bytes (a lane), so what two unpackings take apart, two packings put back in order.
using Wide = __m512i;

inline Wide load_wide(const std::uint8_t* from) { return _mm512_loadu_si512(from); }
inline void store(std::uint8_t* to, Wide x) { _mm512_storeu_si512(to, x); }
inline Wide all32(std::int32_t x) { return _mm512_set1_epi32(x); }
inline Wide interleave_low(Wide x, Wide y) { return _mm512_unpacklo_epi8(x, y); }  // x0 y0 x1 y1 … of each lane
inline Wide interleave_high(Wide x, Wide y) { return _mm512_unpackhi_epi8(x, y); }
inline Wide multiply_pairs(Wide x, Wide y) { return _mm512_madd_epi16(x, y); }  // x0 y0 + x1 y1, 16 to 32 bits
inline Wide add32(Wide x, Wide y) { return _mm512_add_epi32(x, y); }
inline Wide shift_left32(Wide x, unsigned bits) { return _mm512_slli_epi32(x, bits); }
inline Wide shift_right32(Wide x, unsigned bits) { return _mm512_srai_epi32(x, bits); }
inline Wide pack32(Wide x, Wide y) { return _mm512_packs_epi32(x, y); }   // to 16 bits, clipped
inline Wide pack16(Wide x, Wide y) { return _mm512_packus_epi16(x, y); }  // to bytes, clipped to 0..255

// 16 floats.
struct Floats16 {
    __m512 all;
};

inline Floats16 load_floats(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void store(float* to, Floats16 x) { _mm512_storeu_ps(to, x.all); }
inline Floats16 to_floats(Bytes16 x) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x))}; }
inline Floats16 operator*(Floats16 x, Floats16 y) { return {_mm512_mul_ps(x.all, y.all)}; }
inline Floats16 operator+(Floats16 x, Floats16 y) { return {_mm512_add_ps(x.all, y.all)}; }

#else

using Wide = __m256i;  // as above, half as wide

inline Wide load_wide(const std::uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline void store(std::uint8_t* to, Wide x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
inline Wide all32(std::int32_t x) { return _mm256_set1_epi32(x); }
inline Wide interleave_low(Wide x, Wide y) { return _mm256_unpacklo_epi8(x, y); }
inline Wide interleave_high(Wide x, Wide y) { return _mm256_unpackhi_epi8(x, y); }
inline Wide multiply_pairs(Wide x, Wide y) { return _mm256_madd_epi16(x, y); }
inline Wide add32(Wide x, Wide y) { return _mm256_add_epi32(x, y); }
inline Wide shift_left32(Wide x, int bits) { return _mm256_slli_epi32(x, bits); }
inline Wide shift_right32(Wide x, int bits) { return _mm256_srai_epi32(x, bits); }
inline Wide pack32(Wide x, Wide y) { return _mm256_packs_epi32(x, y); }
inline Wide pack16(Wide x, Wide y) { return _mm256_packus_epi16(x, y); }

struct Floats16 {
    __m256 low, high;
};

inline Floats16 load_floats(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline void store(float* to, Floats16 x) {
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
}
inline Floats16 to_floats(Bytes16 x) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(x)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)))};
}
inline Floats16 operator*(Floats16 x, Floats16 y) {
    return {_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}
inline Floats16 operator+(Floats16 x, Floats16 y) {
    return {_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)};
}

#endif

}  // namespace striate::STRIATE_ISA_NAMESPACE

#endif
