// Whole numbers divided, as counting blocks, tiles and parts needs it. What kernels use of it is always inlined: each
// instruction set compiles it for itself.
#pragma once

#include <algorithm>
#include <cstdint>

namespace striate {

[[gnu::always_inline]] constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t rounded_up(std::int64_t a, std::int64_t to) { return quotient_up(a, to) * to; }

// Where part i of `parts` parts of n begins: parts as equal as can be, the larger ones first.
constexpr std::int64_t part_of(std::int64_t n, std::int64_t parts, std::int64_t i) {
    return i * (n / parts) + std::min(i, n % parts);
}

}  // namespace striate
