// The finite points of an algorithm of `Size` products, chosen for small error and cheap transforms.
//
// Zero first, then pairs, and what is left over: the two transforms of a pair share their work (transform.h), most of
// all for ±p. What was measured, in float32 with random pixels, as the root mean square of the error against {0, ±1,
// ±2}: {0, ±1, ½, −2} is 1.4 times more exact for three taps and 1.6 times for five, for 4 operations more in 12. For 7
// products a pair remains alone: beside ±½, −3 is 1.1 times more exact than −2, 2 or ±4. For 8 products no other set of
// small numbers came out better than {0, ±1, ±2, ±½}, for three taps or seven, and all others cost more. For 10 and 12,
// which serve one axis only, these are within 1.16 and 1 times the best of 630 sets that have 0 and ±1, and of pairs
// ±p alone; the pair whose absence hurts the short tiles least comes last.
#pragma once

#include <utility>

#include "winograd/cook_toom.h"

namespace striate {

template <int Size>
struct Points;

template <>
struct Points<3> {
    static constexpr Fraction finite[] = {0, 1};
};

template <>
struct Points<4> {
    static constexpr Fraction finite[] = {0, 1, -1};
};

template <>
struct Points<5> {
    static constexpr Fraction finite[] = {0, 1, -1, {1, 2}};
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

template <>
struct Points<10> {
    static constexpr Fraction finite[] = {0, 1, -1, {1, 2}, {-1, 2}, 3, -3, {3, 4}, {-3, 4}};
};

template <>
struct Points<12> {
    static constexpr Fraction finite[] = {0, 1, -1, {3, 2}, {-3, 2}, {1, 4}, {-1, 4}, 3, -3, {3, 4}, {-3, 4}};
};

// Outputs of the short tiles of F(m, ·); m, if there are none.
constexpr int short_outputs(int m) { return m == 2 ? 2 : m == 4 ? 2 : 4; }

// The first of F(M, R)'s points, as many as F(S, R) takes: a tile of S outputs then shares its filters.
template <int M, int S, int R, typename = std::make_index_sequence<S + R - 2>>
struct FirstPoints;

template <int M, int S, int R, std::size_t... I>
struct FirstPoints<M, S, R, std::index_sequence<I...>> {
    static constexpr Fraction finite[] = {Points<M + R - 1>::finite[I]...};
};

// F(M, R) as it is used here.
template <int M, int R, typename At = Points<M + R - 1>>
constexpr CookToom<M, R> cook_toom{At::finite};

}  // namespace striate
