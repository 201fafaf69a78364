// How many tiles are worked on at a time, where their components lie, what memory each thread has for itself, and how
// images become components.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv/components.h"
#include "conv/plan.h"
#include "dispatch/kernels.h"
#include "fft/kernels.h"
#include "fft/tiling.h"

namespace striate {

inline const FftKernels& fft_kernels_of(const ConvOptions& options) {
    return STRIATE_KERNELS_OF(options.isa, fft_kernels);
}

// Tiles of a chunk, all chunks about equal. `tile_floats` are the components of all maps; `enough` tiles are worth a
// pass over what is as large as the weights, and comes from main memory.
constexpr std::int64_t fft_chunk(std::int64_t tiles, std::int64_t tile_floats, std::int64_t enough,
                                 std::int64_t threads) {
    constexpr std::int64_t cache_floats = 1 << 18;  // of components, for each thread: half of a second cache
    constexpr std::int64_t most_floats = 1 << 25;   // of components, all in all
    const std::int64_t chunk =
        std::max(threads * cache_floats / tile_floats, std::min(enough, most_floats / tile_floats));
    return quotient_up(tiles, quotient_up(tiles, std::clamp<std::int64_t>(chunk, 1, tiles)));
}

// Components per item of work: few, but not so few that fetching the next item takes long beside it.
constexpr std::int64_t fft_share(std::int64_t components, std::int64_t products, std::int64_t threads) {
    constexpr std::int64_t enough_products = 1 << 18;  // complex ones, some 10 µs
    return std::max<std::int64_t>(1, std::min(enough_products / products, components / (8 * threads)));
}

// A thread's own: a tile half transformed, rows of pixels, and a register of bias.
struct FftScratch {
    float *half, *rows, *bias;

    static std::int64_t floats(const FftTiling& t, std::int64_t lanes) {
        return rounded_up(t.rows * t.columns * lanes + fft_scratch(lanes) + lanes, 16);
    }
    static FftScratch of(const FftTiling& t, std::int64_t lanes, float* all, int member) {
        float* const half = all + member * floats(t, lanes);
        float* const rows = half + t.rows * t.columns * lanes;
        return {half, rows, rows + fft_scratch(lanes)};
    }
};

// Some tiles of one group.
struct FftChunk {
    std::int64_t group, begin, tiles;
};

// A tile's first result.
struct FftPlace {
    std::int64_t image, row, column;

    static FftPlace of(const FftTiling& t, std::int64_t tile) {
        return {tile / t.per_image(), tile / t.across % t.down * t.step_rows, tile % t.across * t.step_columns};
    }
};

// The images that a convolution reads, tile by tile.
struct FftImages {
    const FftKernels& kernels;
    const FftTiling& tiling;
    const ConvShape& shape;
    const float* images;
    const ImageStrides& strides;
    std::int64_t maps;  // of a group

    // Item `item` of a chunk, a tile of a block of maps, to its place among components that lie `step` apart.
    void transform(const FftChunk& chunk, std::int64_t item, float* components, std::int64_t step,
                   const FftScratch& scratch) const {
        const std::int64_t lanes = kernels.lanes, block = item / chunk.tiles, tile = item % chunk.tiles;
        const std::int64_t map = chunk.group * maps + block * lanes;
        const FftPlace at = FftPlace::of(tiling, chunk.begin + tile);
        kernels.rows_in[tiling.column_place]({.image = images + at.image * strides.image + strides.of_map(map),
                                              .strides = {strides.map, strides.row, strides.pixel},
                                              .maps = std::min(lanes, maps - block * lanes),
                                              .height = shape.rows.size,
                                              .width = shape.columns.size,
                                              .top = at.row - shape.rows.low,
                                              .left = at.column - shape.columns.low,
                                              .rows = tiling.seen_rows(shape.rows.out() - at.row),
                                              .columns = tiling.seen_columns(shape.columns.out() - at.column),
                                              .size = tiling.rows,
                                              .half = scratch.half,
                                              .scratch = scratch.rows});
        kernels.columns_in[tiling.row_place](scratch.half, tiling.columns,
                                             components + (block * chunk.tiles + tile) * 2 * lanes, step);
    }
};

}  // namespace striate
