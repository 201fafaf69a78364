// bfloat16: the upper half of a float, so eight exponent bits as it has, and eight of its 24 significant ones. Always
// inlined: each instruction set compiles it for itself.
#pragma once

#include <cstdint>

namespace striate {

struct Bfloat16 {
    std::uint16_t bits;
};

[[gnu::always_inline]] inline float as_float(float x) { return x; }

[[gnu::always_inline]] inline float as_float(Bfloat16 x) {
    const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
    return __builtin_bit_cast(float, bits);
}

// The nearest, to even where two are as near. NaN stays NaN: its lower half alone could carry over into infinity.
[[gnu::always_inline]] inline void put_float(float x, Bfloat16* to) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
    const std::uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    to->bits = static_cast<std::uint16_t>((x == x ? rounded : bits | 0x400000u) >> 16);
}

[[gnu::always_inline]] inline void put_float(float x, float* to) { *to = x; }

}  // namespace striate
