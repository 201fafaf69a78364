// How far roundings grow in F(M, R): what the error bounds of docs/algorithms/winograd.md are made of.
#pragma once

#include "winograd/points.h"

namespace striate {

// max_i Σ_k (A_ik ‖G_k‖₁ ‖B_k‖₁)², over one axis: the variance of an output whose components carry independent errors,
// each as large as the largest pixel and the largest tap can make its component.
template <int M, int R, typename At = Points<M + R - 1>>
constexpr double winograd_growth_squared() {
    constexpr CookToom<M, R> exact = cook_toom<M, R, At>;
    const auto size = [](double x) { return x < 0 ? -x : x; };
    double largest = 0;
    for (int i = 0; i < M; ++i) {
        double sum = 0;
        for (int k = 0; k < exact.size; ++k) {
            double filter = 0, pixels = 0;
            for (int j = 0; j < R; ++j) filter += size(exact.g[k][j].value());
            for (int j = 0; j < exact.size; ++j) pixels += size(exact.bt[k][j].value());
            const double term = size(exact.at[i][k].value()) * filter * pixels;
            sum += term * term;
        }
        largest = largest > sum ? largest : sum;
    }
    return largest;
}

// Short tiles, which factors of their components do not change, are within the bounds of long ones.
template <int M, int R>
constexpr bool short_is_as_exact =
    winograd_growth_squared<short_outputs(M), R, FirstPoints<M, short_outputs(M), R>>() <=
    winograd_growth_squared<M, R>();
static_assert(short_is_as_exact<4, 3> && short_is_as_exact<5, 3> && short_is_as_exact<6, 3> &&
              short_is_as_exact<4, 5> && short_is_as_exact<6, 5> && short_is_as_exact<4, 7> && short_is_as_exact<6, 7>);

}  // namespace striate
