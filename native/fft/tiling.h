// How images are cut into tiles, and which size of tile costs least.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "conv/division.h"
#include "conv/plan.h"
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

    // Pixels that the windows of `left` results in a row of them see: what lies beyond would only add to the error.
    std::int64_t seen_rows(std::int64_t left) const { return std::min(rows, left + rows - step_rows); }
    std::int64_t seen_columns(std::int64_t left) const { return std::min(columns, left + columns - step_columns); }

    // Of one factor of every product: undoes the two inverses, and the doubling of the rows of both factors.
    float scale() const { return 0.25f / static_cast<float>(rows * columns); }
};

// Which maps meet in products. Where each map has a filter of its own (depthwise), all maps make one group in which
// lane meets lane; elsewhere groups are those of the shape, and all maps of a group meet.
struct FftMaps {
    bool lanewise;
    std::int64_t groups, in, out;  // in, out: of a group

    static FftMaps of(const ConvShape& s) {
        if (s.groups > 1 && s.group_in() == 1 && s.group_out() == 1) return {true, 1, s.in, s.out};
        return {false, s.groups, s.group_in(), s.group_out()};
    }
};

// Pixels [begin, end) of the results along an axis whose windows see any pixel at all: not those of padding alone.
struct FftSeen {
    std::int64_t begin, end;

    static FftSeen of(const Axis& a) {
        const std::int64_t begin = std::clamp<std::int64_t>(a.low - a.extent() + 1, 0, a.out());
        return {begin, std::clamp<std::int64_t>(a.low + a.size, begin, a.out())};
    }
};

// The cheapest for this shape, in pass forward or backward_weights; none if the filters are larger than the largest
// tile.
std::optional<FftTiling> fft_tiling(Pass pass, const ConvShape& shape, std::int64_t lanes);

}  // namespace striate
