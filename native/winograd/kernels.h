// The inner parts of Winograd's convolution: tiles in, products, tiles out, and the filters' transform.
//
// Maps come in blocks of `lanes`, one lane a map. A tile of pixels becomes as many components; component k of all tiles
// and maps is a matrix, and the convolution is one matrix product per component.
#pragma once

#include <cstdint>

#include "conv/strides.h"
#include "winograd/size.h"

namespace striate {

// A run of `tiles` neighbouring tiles of one row of tiles, for one block of maps.
// Components that are bfloat16 numbers have tiles 32 apart; where images are floats all the same, each is the sum of
// two numbers (bfloat16/product.h), and tiles lie 64 apart, the high parts of 32 maps before the low ones.
template <typename Element, typename Component = Element>
struct WinogradInputOf {
    const Element* image;  // its first map
    Strides strides;
    std::int64_t maps;           // that exist, ≤ lanes; the other lanes get zeros
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // of the first tile; pixels outside the image are zero
    std::int64_t tiles;          // ≤ run
    Component* components;       // steps of `component`, each [tiles, lanes]
    std::int64_t component;
    float* scratch;  // scratch_floats
};
using WinogradInput = WinogradInputOf<float>;

template <typename Element>
struct WinogradOutputOf {
    const float* components;  // as above; sums of products of bfloat16 numbers have tiles 16 apart
    std::int64_t component;
    std::int64_t tiles;
    Element* image;
    const Element* residual;  // added, if any; laid out as the image
    Strides strides;
    std::int64_t maps;
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // of the first tile's output
    const float* bias;           // [lanes], or of two blocks
    bool relu;
    bool stream;        // past the caches, where whole lines are written
    std::int64_t next;  // floats to the components of a second block, whose registers lie behind the first's and make
                        // up lines with them, all past the caches; or 0, for none. Then both are whole, and `residual`
                        // is none.
    float* scratch;
};
using WinogradOutput = WinogradOutputOf<float>;

// Filters of `lanes` output maps (of which `maps` exist) for `channels` ≤ lanes maps of the input, brought into
// registers.
struct WinogradTaps {
    const float* data;  // tap (i, j) of map c of filter k is data[k · out + c · in + i · row + j · column]
    std::int64_t out, in, row, column;
    std::int64_t maps, channels;
    float* taps;  // [channels, taps, lanes], of winograd_taps_floats
    int lacking_row = -1,
        lacking_column = -1;  // the first or the last, all zeros: `data` begins behind it, or ends before
};

// A register's width of registers more may be written.
constexpr std::int64_t winograd_taps_floats(std::int64_t lanes, std::int64_t taps) {
    return lanes * (taps + 1) * lanes;
}

// The filters of such taps, transformed.
struct WinogradFilters {
    const float* taps;  // [channels, taps, lanes]
    std::int64_t channels;
    float* components;  // of map c of the input: steps of `component`, each [lanes], from components + c · channel on
    std::int64_t component, channel;
};

template <typename Element, typename Component = Element>
struct WinogradTileOf {
    void (*input)(const WinogradInputOf<Element, Component>&);
    void (*output)(const WinogradOutputOf<Element>&);
};

// F(rows.m × columns.m, rows.r × columns.r).
template <typename Element, typename Component = Element>
struct WinogradTransformsOf {
    WinogradSize rows, columns;
    std::int64_t run;  // tiles of a run, at most
    std::int64_t scratch_floats;
    WinogradTileOf<Element, Component> tiles[2][2];  // of tiles that are short down their columns; along their rows
    void (*gather)(const WinogradTaps&);
    void (*filters)(const WinogradFilters&);
};
using WinogradTransforms = WinogradTransformsOf<float>;

// Maps between two fetches: few lines at a time, for the processor can wait for 16 or so at once.
constexpr std::int64_t winograd_stretch(std::int64_t lanes) { return lanes < 8 ? lanes : 8; }

// out[o][t] = Σ over `maps` maps of v[block][t] · u, for 2 · lanes output maps and `parts` times `rows` tiles side by
// side, rows ≤ tile_rows.
struct WinogradProduct {
    const float* v;
    std::int64_t v_block;  // from one block of maps to the next
    const float* u;
    std::int64_t maps;
    float* out;
    std::int64_t out_block;  // from one block of output maps to the next
    std::int64_t rows, parts;

    // For each stretch of maps, so many lines of 64 bytes are fetched into the second cache, as far as `end`.
    const float *next, *end;
    std::int64_t lines;
};

struct WinogradKernels {
    std::int64_t lanes;
    std::int64_t tile_rows;  // tiles whose sums fit the registers beside two registers of weights
    const WinogradTransforms* transforms;

    void (*multiply)(const WinogradProduct& product);

    // A multiple of 2 · lanes floats, to an address that is aligned to so many; perhaps past the caches.
    void (*copy)(const float* from, std::int64_t floats, float* to, bool stream);

    // Streamed stores are seen by other threads from here on.
    void (*settle)();
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
