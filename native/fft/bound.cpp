#include "fft/bound.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "conv/adjoint.h"
#include "fft/tiling.h"

namespace striate {

namespace {

// Of one tile size. With u = 2⁻²⁴, the error of a result is at most
//     u · (three transforms + products) · Σ ‖a‖ ‖b‖
// where the sum is over the n pairs (of maps; of tiles, for filters) that a component sums, and the norms are those of
// whole tiles.
double bound(Pass pass, const ConvShape& s, const FftTiling& t) {
    // a level of a transform, relative to the norm: μ + γ₄(√2 + μ) (Higham 2002, theorem 24.2), μ ≤ 1 for the twiddles
    constexpr double level = 7;
    const double levels = std::log2(static_cast<double>(t.rows * t.columns)) + 2;  // and pairs of rows, taken apart
    const bool of_filters = pass == Pass::backward_weights;
    const double pairs = static_cast<double>(of_filters ? s.batch * t.per_image() : s.group_in());
    const double products = 3 * pairs + 6;  // 2 √2 n for sums of 2 n terms; those of the scale, bias and residual

    // Σ ‖a‖ ‖b‖ against the largest Σ |a||b|: there are `places` sums in which pixels of a tile meet those of the other
    // factor, and √(‖a‖∞ ‖b‖∞ · ‖a‖₁ ‖b‖₁) ≥ ‖a‖ ‖b‖.
    const std::int64_t rows = of_filters ? t.step_rows : s.rows.extent();
    const std::int64_t columns = of_filters ? t.step_columns : s.columns.extent();
    const double places = static_cast<double>((t.rows + rows - 1) * (t.columns + columns - 1));
    return (3 * level * levels + products) * std::sqrt(pairs * places);
}

}  // namespace

double fft_error_bound(Pass pass, const ConvShape& shape) {
    const ConvShape s = pass == Pass::backward_data ? adjoint(shape) : shape;
    double largest = 0;
    for (const std::int64_t lanes : {4, 8, 16}) {  // which the choice of tiles depends on
        const Pass planned = pass == Pass::backward_weights ? pass : Pass::forward;
        const auto tiling = fft_tiling(planned, s, lanes);
        if (!tiling) return std::numeric_limits<double>::infinity();  // no tile is as large as these filters
        largest = std::max(largest, bound(pass, s, *tiling));
    }
    return largest;
}

}  // namespace striate
