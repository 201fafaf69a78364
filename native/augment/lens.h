// The lens: radial terms of Brown 1966. A point at distance d from the output's centre, with u = |d|² in squares of
// half the diagonal, comes from centre + f · d.
//
// The one place of the formula in C++ but for the reference, which has its own. T is a double, or a register of doubles
// or floats. Always inlined: each instruction set compiles it for itself.
#pragma once

#include <cstdint>

namespace striate {

// 1 / (half the diagonal)².
[[gnu::always_inline]] inline double per_square_of(std::int64_t height, std::int64_t width) {
    const auto h = static_cast<double>(height), w = static_cast<double>(width);
    return 4.0 / (w * w + h * h);
}

// f = 1 + k1 u + k2 u².
template <typename T, typename K>
[[gnu::always_inline]] inline T lens_factor(T u, K k1, K k2) {
    return K(1) + u * (k1 + k2 * u);
}

// ∂f/∂|d|, over |d|: the derivative of centre + f · d is f I + slope · d dᵀ.
template <typename T, typename K>
[[gnu::always_inline]] inline T lens_slope(T u, K k1, K k2, K per_square) {
    return K(2) * per_square * (k1 + K(2) * k2 * u);
}

}  // namespace striate
