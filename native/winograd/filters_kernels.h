// The inner parts of backward to weights by Winograd: tiles of x and of dy in, products summed over tiles, filters out.
//
// Maps come in blocks of `lanes`, one lane a map; component k of a block is [tiles, lanes]. The two sides of the
// product look alike: of one side, whichever, values are spread over registers (its maps are the rows of the product),
// of the other, registers are taken as they lie (its maps are the columns).
#pragma once

#include <cstdint>

#include "conv/strides.h"
#include "winograd/size.h"

namespace striate {

// A run of `tiles` neighbouring tiles of one row of tiles, for one block of maps.
struct WinogradTiles {
    const float* image;  // its first map
    Strides strides;
    std::int64_t maps;           // that exist, ≤ lanes; the other lanes get zeros
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // of the first tile; pixels outside the image are zero
    std::int64_t tiles;          // ≤ WinogradFilterTransforms::run
    float* components;           // steps of `component`, each [tiles, lanes]; of short tiles those they have
    std::int64_t component;
    float* scratch;  // WinogradFilterTransforms::scratch_floats
};

// Sums of products over tiles, of `rows` maps with one or two registers of maps.
struct WinogradSums {
    const float* rows;     // value of row r at tile t: rows[t · lanes + r]
    const float* columns;  // register j at tile t: columns + j · column_block + t · lanes
    std::int64_t column_block;
    std::int64_t tiles;
    const float* ahead;  // [tiles, lanes] that will be wanted soon
    float* sums;         // [rows, 2 · lanes]
    bool accumulate;
};

// One unit of sums to filters: [lanes, 2 · lanes] maps of all components.
struct WinogradUnit {
    const float* sums;  // component i at sums + i · component
    std::int64_t component;
    std::int64_t rows, columns;  // maps that exist
    float* filters;              // the taps of the first pair of maps
    std::int64_t row, column;    // from one map's filter to the next
    // Taps that are written, the first so many down and along, and from one to the next.
    std::int64_t taps_down, taps_along, tap_row, tap_column;
};

struct WinogradTilesByKind {
    void (*of[2][2])(const WinogradTiles&);  // of tiles that are short down their columns; along their rows
};

// Of F(rows.m × columns.m, rows.r × columns.r).
struct WinogradFilterTransforms {
    WinogradSize rows, columns;
    std::int64_t run;  // tiles of a run, at most
    std::int64_t scratch_floats;
    WinogradTilesByKind images;     // of x: tiles of m + r − 1, by Bᵀ
    WinogradTilesByKind gradients;  // of dy: tiles of m, by A
    void (*filters)(const WinogradUnit&);
};

struct WinogradFilterKernels {
    std::int64_t lanes;
    std::int64_t sum_rows;  // rows of a product; divides lanes
    const WinogradFilterTransforms* transforms;

    // For rows = 1, …, sum_rows, one and two registers of columns.
    void (*multiply[8][2])(const WinogradSums&);
};

namespace portable {
extern const WinogradFilterKernels winograd_filter_kernels;
}
namespace avx2 {
extern const WinogradFilterKernels winograd_filter_kernels;
}
namespace avx512 {
extern const WinogradFilterKernels winograd_filter_kernels;
}

}  // namespace striate
