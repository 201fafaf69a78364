// How images are cut into tiles, and which size of tile costs least.
#pragma once

#include <cstdint>
#include <optional>

#include "conv/shape.h"
#include "fft/kernels.h"

namespace striate {

// Tiles of rows × columns pixels, of which those that meet no edge of the tile give step_rows × step_columns results.
struct FftTiling {
    int row_place, column_place;  // of `rows` and `columns` in fft_sizes
    std::int64_t rows, columns;
    std::int64_t step_rows, step_columns;  // size − extent of the filter + 1
    std::int64_t down, across;             // tiles of one image

    std::int64_t components() const { return fft_components(rows, columns); }
    std::int64_t per_image() const { return down * across; }
};

// The cheapest for this shape; none if the filters are larger than the largest tile.
std::optional<FftTiling> fft_tiling(const ConvShape& shape, std::int64_t lanes);

}  // namespace striate
