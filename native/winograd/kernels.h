// The inner parts of Winograd's convolution: tiles in, products, tiles out.
//
// Maps come in blocks of `lanes`, one lane a map. A tile of (m + 2)² pixels becomes (m + 2)² components; component k of
// all tiles and maps is a matrix, and the convolution is one matrix product per component.
#pragma once

#include <cstdint>

#include "conv/strides.h"

namespace striate {

// A run of `tiles` neighbouring tiles of one row of tiles, for one block of maps.
struct WinogradInput {
    const float* image;  // its first map
    Strides strides;
    std::int64_t maps;           // that exist, ≤ lanes; the other lanes get zeros
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // of the first tile; pixels outside the image are zero
    std::int64_t tiles;          // ≤ winograd_run
    float* components;           // [(m + 2)²] steps of `component`, each [tiles, lanes]
    std::int64_t component;
    float* scratch;  // winograd_scratch(m, lanes) floats
};

struct WinogradOutput {
    const float* components;
    std::int64_t component;
    std::int64_t tiles;
    float* image;
    const float* residual;  // added, if any; laid out as the image
    Strides strides;
    std::int64_t maps;
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // of the first tile's output
    const float* bias;           // [lanes]
    bool relu;
    float* scratch;
};

constexpr std::int64_t winograd_run = 16;  // tiles

// Rows of pixels, whole and transformed, with room for a register beyond either end of each.
constexpr std::int64_t winograd_scratch(std::int64_t m, std::int64_t lanes) {
    return 2 * (m + 2) * (winograd_run * m + 2 + 2 * lanes) * lanes;
}

struct WinogradKernels {
    std::int64_t lanes;
    std::int64_t tile_rows;  // tiles whose sums fit the registers beside two registers of weights

    // For m = 2, 4, 6.
    void (*input[3])(const WinogradInput&);
    void (*output[3])(const WinogradOutput&);
    // out[o][t] = Σ over `blocks` blocks of maps of v[block][t] · u, for 2 · lanes output maps and rows ≤ tile_rows tiles.
    // v steps by v_block from one block of maps to the next, out by out_block from one block of output maps to the next.
    void (*multiply)(const float* v, std::int64_t v_block, const float* u, std::int64_t blocks, float* out,
                     std::int64_t out_block, std::int64_t rows);
};

namespace portable {
extern const WinogradKernels winograd_kernels;
}
namespace avx2 {
extern const WinogradKernels winograd_kernels;
}
namespace avx512 {
extern const WinogradKernels winograd_kernels;
}

}  // namespace striate
