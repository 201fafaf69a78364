// How the results of a batch are cut into tiles, and those into runs of neighbours in one row of tiles, counted through
// all rows and images: for the plans of float32 and of bfloat16.
#pragma once

#include <algorithm>

#include "conv/division.h"
#include "conv/shape.h"
#include "winograd/images_plan.h"

namespace striate {

// Of runs, or of other things that are counted.
struct Range {
    std::int64_t begin, end;
    constexpr std::int64_t size() const { return end - begin; }
};

// Those of a shape's F(m, r) among the transforms of a table, which has them.
template <typename Transforms>
const Transforms& transforms_of(const Transforms* each, const ConvShape& shape, int m) {
    const int rows = outputs_of(m, shape.rows.kernel), columns = outputs_of(m, shape.columns.kernel);
    while (each->rows.m != rows || each->rows.r != shape.rows.kernel || each->columns.m != columns ||
           each->columns.r != shape.columns.kernel) {
        ++each;
    }
    return *each;
}

// Where a run lies: its row of tiles, and its first tile in that row.
struct WinogradRun {
    std::int64_t image, row, column, tiles;
};

struct WinogradRuns {
    std::int64_t tile_rows, tile_columns;  // of an image
    std::int64_t longest;                  // tiles of a run, at most
    std::int64_t of_row, count;            // runs of a row of tiles, and of all images

    template <typename Transforms>
    WinogradRuns(const ConvShape& shape, const Transforms& transforms)
        : tile_rows(quotient_up(shape.rows.out(), transforms.rows.m)),
          tile_columns(quotient_up(shape.columns.out(), transforms.columns.m)),
          longest(transforms.run),
          of_row(quotient_up(tile_columns, longest)),
          count(shape.batch * tile_rows * of_row) {}

    std::int64_t tiles_before(std::int64_t run) const { return run / of_row * tile_columns + run % of_row * longest; }
    std::int64_t tiles(Range runs) const { return tiles_before(runs.end) - tiles_before(runs.begin); }

    WinogradRun operator[](std::int64_t run) const {
        const std::int64_t row = run / of_row, column = run % of_row * longest;
        return {row / tile_rows, row % tile_rows, column, std::min(longest, tile_columns - column)};
    }
};

}  // namespace striate
