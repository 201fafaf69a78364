// The finite points of an algorithm of `Size` products, chosen for small error and cheap transforms.
//
// Zero first, then pairs, and what is left over: the two transforms of a pair share their work (transform.h), most of
// all for ±p. What was measured, in float32 with random pixels, as the root mean square of the error against {0, ±1,
// ±2}: {0, ±1, ½, −2} is 1.4 times more exact for three taps and 1.6 times for five, for 4 operations more in 12. For 7
// products a pair remains alone: beside ±½, −3 is 1.1 times more exact than −2, 2 or ±4. For 8 products no other set of
// small numbers came out better than {0, ±1, ±2, ±½}, and all others cost more.
#pragma once

#include "winograd/cook_toom.h"

namespace striate {

template <int Size>
struct Points;

template <>
struct Points<4> {
    static constexpr Fraction finite[] = {0, 1, -1};
};

template <>
struct Points<6> {
    static constexpr Fraction finite[] = {0, 1, -1, {1, 2}, -2};
};

template <>
struct Points<7> {
    static constexpr Fraction finite[] = {0, 1, -1, {1, 2}, {-1, 2}, -3};
};

template <>
struct Points<8> {
    static constexpr Fraction finite[] = {0, 1, -1, 2, -2, {1, 2}, {-1, 2}};
};

// F(M, R) as it is used here.
template <int M, int R>
constexpr CookToom<M, R> cook_toom{Points<M + R - 1>::finite};

}  // namespace striate
