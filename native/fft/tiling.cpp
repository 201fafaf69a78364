#include "fft/tiling.h"

#include <algorithm>
#include <cmath>

namespace striate {

namespace {

// In floating-point operations of a product that runs at full speed, for one run.
double cost(Pass pass, const ConvShape& s, const FftTiling& t, std::int64_t lanes) {
    // a number in a transform takes about 2.5 log₂ operations, at a quarter of a product's speed: sums and products do
    // not pair, and every number is loaded and stored four times
    constexpr double slower = 4;
    // bytes of components that cross a cache, and of weights that come from memory
    constexpr double operations_per_cached_byte = 4, operations_per_byte = 12;
    const FftMaps m = FftMaps::of(s);
    const std::int64_t in = rounded_up(m.in, lanes), out = rounded_up(m.out, lanes);
    const double tiles = static_cast<double>(s.batch * t.per_image());
    const double pairs = static_cast<double>(m.lanewise ? out : m.in * out);
    const double pixels = static_cast<double>(t.rows * t.columns), components = static_cast<double>(t.components());
    const double maps = tiles * static_cast<double>(in + out);
    const double transforms = maps * pixels * 2.5 * std::log2(pixels) * slower;
    const double products = 8 * components * tiles * pairs;
    const double moved = 8 * components * maps * 2 * operations_per_cached_byte;
    double weights = 8 * components * pairs * operations_per_byte;
    if (pass == Pass::backward_weights) {  // written and read, and transformed
        weights = 2 * weights + pairs * pixels * 2.5 * std::log2(pixels) * slower;
    }
    return static_cast<double>(m.groups) * (transforms + products + moved + weights);
}

}  // namespace

std::optional<FftTiling> fft_tiling(Pass pass, const ConvShape& shape, std::int64_t lanes) {
    std::optional<FftTiling> best;
    double least = 0;
    for (int r = 0; r < fft_size_count; ++r) {
        for (int c = 0; c < fft_size_count; ++c) {
            FftTiling t{};
            t.row_place = r, t.rows = fft_sizes[r];
            t.column_place = c, t.columns = fft_sizes[c];
            t.step_rows = t.rows - shape.rows.extent() + 1, t.step_columns = t.columns - shape.columns.extent() + 1;
            if (t.step_rows < 1 || t.step_columns < 1) continue;
            t.down = quotient_up(shape.rows.out(), t.step_rows);
            t.across = quotient_up(shape.columns.out(), t.step_columns);
            const double its = cost(pass, shape, t, lanes);
            if (!best || its < least) best = t, least = its;
        }
    }
    return best;
}

}  // namespace striate
