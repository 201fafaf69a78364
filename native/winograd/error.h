// How far roundings grow in F(M, R): what the error bounds of docs/algorithms/winograd.md are made of.
#pragma once

#include "winograd/points.h"

namespace striate {

// max_i Σ_k (X_ik ‖Y_k‖₁ ‖Z_k‖₁)², over one axis: the variance of result i whose components k carry independent errors,
// each as large as the largest numbers on either side can make its component. The three are sizes of Aᵀ, G and Bᵀ: of
// an output Aᵀ is X, of a weight's gradient Gᵀ, and what is left are the sides.
template <int M, int R>
struct WinogradGrowth {
    static constexpr int size = M + R - 1;
    double a[size][M] = {}, g[size][R] = {}, b[size][size] = {};

    constexpr explicit WinogradGrowth(const CookToom<M, R>& exact) {
        const auto absolute = [](Fraction x) { return x.value() < 0 ? -x.value() : x.value(); };
        for (int k = 0; k < size; ++k) {
            for (int i = 0; i < M; ++i) a[k][i] = absolute(exact.at[i][k]);
            for (int i = 0; i < R; ++i) g[k][i] = absolute(exact.g[k][i]);
            for (int i = 0; i < size; ++i) b[k][i] = absolute(exact.bt[k][i]);
        }
    }

    constexpr double of_outputs() const { return squared(a, g, b); }
    constexpr double of_weights() const { return squared(g, a, b); }

private:
    template <int Results, int Y, int Z>
    static constexpr double squared(const double (&x)[size][Results], const double (&y)[size][Y],
                                    const double (&z)[size][Z]) {
        double largest = 0;
        for (int i = 0; i < Results; ++i) {
            double sum = 0;
            for (int k = 0; k < size; ++k) {
                double y_sum = 0, z_sum = 0;
                for (int j = 0; j < Y; ++j) y_sum += y[k][j];
                for (int j = 0; j < Z; ++j) z_sum += z[k][j];
                const double term = x[k][i] * y_sum * z_sum;
                sum += term * term;
            }
            largest = largest > sum ? largest : sum;
        }
        return largest;
    }
};

template <int M, int R, typename At = Points<M + R - 1>>
constexpr WinogradGrowth<M, R> winograd_growth{cook_toom<M, R, At>};

// Short tiles, which factors of their components do not change, are within the bounds of long ones.
template <int M, int R>
constexpr bool short_is_as_exact = [] {
    constexpr const auto& its = winograd_growth<short_outputs(M), R, FirstPoints<M, short_outputs(M), R>>;
    constexpr const auto& of_long = winograd_growth<M, R>;
    return its.of_outputs() <= of_long.of_outputs() && its.of_weights() <= of_long.of_weights();
}();
static_assert(short_is_as_exact<4, 2> && short_is_as_exact<5, 2> && short_is_as_exact<6, 2> &&
              short_is_as_exact<4, 3> && short_is_as_exact<5, 3> && short_is_as_exact<6, 3> &&
              short_is_as_exact<4, 5> && short_is_as_exact<6, 5> && short_is_as_exact<4, 7> && short_is_as_exact<6, 7>);

}  // namespace striate
