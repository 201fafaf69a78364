// How images are cut into tiles, and which size of tile costs least.
#pragma once

#include <cstdint>
#include <optional>

#include "conv/plan.h"
#include "fft/kernels.h"

namespace striate {

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Tiles of rows × columns pixels, of which those that meet no edge of the tile give step_rows × step_columns results.
struct FftTiling {
    int row_place, column_place;  // of `rows` and `columns` in fft_sizes
    std::int64_t rows, columns;
    std::int64_t step_rows, step_columns;  // size − extent of the filter + 1
    std::int64_t down, across;             // tiles of one image

    std::int64_t components() const { return fft_components(rows, columns); }
    std::int64_t per_image() const { return down * across; }

    // Of one factor of every product: undoes the two inverses, and the doubling of the rows of both factors.
    float scale() const { return 0.25f / static_cast<float>(rows * columns); }
};

// The cheapest for this shape, in pass forward or backward_weights; none if the filters are larger than the largest tile.
std::optional<FftTiling> fft_tiling(Pass pass, const ConvShape& shape, std::int64_t lanes);

}  // namespace striate
