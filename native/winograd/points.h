// The points of each F(m, 3), chosen for small error and cheap transforms.
#pragma once

#include "winograd/cook_toom.h"

namespace striate {

template <int M>
struct Points;

template <>
struct Points<2> {
    static constexpr CookToom<2, 3> matrices{{0, 1, -1}};
};

template <>
struct Points<4> {
    static constexpr CookToom<4, 3> matrices{{0, 1, -1, 2, -2}};
};

template <>
struct Points<6> {
    static constexpr CookToom<6, 3> matrices{{0, 1, -1, 2, -2, {1, 2}, {-1, 2}}};
};

}  // namespace striate
