// The tiles of a product on their way to the result: straight, where their pixels lie evenly there, else through sums
// that the kernels of im2col take apart.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv/division.h"
#include "gemm/kernels.h"
#include "im2col/kernels.h"
#include "im2col/sides.h"

namespace striate {

// One panel of pixels, and where the sums of those pixels go.
struct Places {
    std::int64_t count, run_count;
    bool even;            // each a pixel's stride after the one before
    const float* source;  // where they are read, if they lie there as a panel or as rows of A; else null
    std::int64_t at[most_pixels];
    Run runs[most_pixels];
};

// What one tile is made of and where it goes.
struct ProductTile {
    const float* rows;   // its panel of A, or A itself with a_row
    std::int64_t a_row;  // from one pixel to the next, in A as it lies in the images; or 0
    std::int64_t map, maps;
    const float* bias;     // of those maps
    const Places* places;  // of its pixels
};

// Of B at a time. It comes from the second cache then; a quarter of it would stay in the first, but pass over the sums
// four times as often: 1.02 to 1.05 times as slow for 1024 and 2048 maps (1×1, AVX-512), 1.01 to 1.03 with AVX2.
constexpr std::int64_t panel_bytes = 128 << 10;

// Values of a sum at a time.
inline std::int64_t depth_block(const GemmKernels& gemm) {
    return panel_bytes / static_cast<std::int64_t>(sizeof(float)) / gemm.tile_columns;
}

struct ProductTiles {
    const Sides& sides;
    const GemmKernels& gemm;
    const Im2colKernels& kernels;
    const Epilogue& epilogue;
    float* result;
    std::int64_t depth;  // terms of a sum
    bool maps_down;      // maps are the rows of a tile, pixels its columns; else the other way round
    bool past_caches;    // the result is large: whole lines of the caches are written past them

    // Tile i of `tiles` is tile_at(i); all have the panel `b`. `sums` has room for them all.
    template <typename TileAt>
    void multiply(std::int64_t tiles, const TileAt& tile_at, const float* b, std::int64_t b_step, float* sums) const {
        const std::int64_t blocks = std::max<std::int64_t>(1, quotient_up(depth, depth_block(gemm)));
        for (std::int64_t block = 0; block < blocks; ++block) {
            const Terms terms{depth_part(blocks, block), depth_part(blocks, block + 1), block == 0,
                              block + 1 == blocks};
            for (std::int64_t i = 0, count; i < tiles; i += count) {
                const ProductTile tile = tile_at(i);
                count = alike(tile, i, tiles, tile_at);
                float* const own = sums + i * gemm.tile_rows * gemm.tile_columns;
                gemm.tiles(tiles_of(tile, count, terms, b, b_step, own));
                if (terms.last && !goes_straight(*tile.places)) {
                    (maps_down ? kernels.finish_maps : kernels.finish_pixels)(finished(own, tile));
                }
            }
        }
    }

private:
    // Some of the terms of all sums.
    struct Terms {
        std::int64_t begin, end;
        bool first, last;
    };

    // Whole blocks of maps, where A is read in place.
    std::int64_t depth_part(std::int64_t blocks, std::int64_t i) const {
        return std::min(depth, part_of(quotient_up(depth, maps_per_block), blocks, i) * maps_per_block);
    }

    // Whether a tile goes straight to the result.
    bool goes_straight(const Places& places) const {
        return maps_down ? places.run_count == 1 : places.even && sides.to.map == 1;
    }
    std::int64_t result_at(const ProductTile& tile) const { return tile.places->at[0] + sides.to.of_map(tile.map); }
    std::int64_t rows_of(const ProductTile& tile) const { return maps_down ? tile.maps : tile.places->count; }

    // How far A and the result are from one tile's to the next one's, where tiles lie evenly.
    struct Steps {
        std::int64_t a, result;
    };
    Steps steps_of(const ProductTile& tile) const {
        const std::int64_t rows = rows_of(tile);
        return {tile.a_row == 0 ? depth * gemm.tile_rows : rows * tile.a_row,
                rows * (maps_down ? sides.to.map : sides.to.pixel)};
    }

    // Whether `next` is computed and written as `tile` is, a step further.
    bool continues(const ProductTile& tile, const ProductTile& next) const {
        const Steps steps = steps_of(tile);
        return rows_of(next) == rows_of(tile) && next.a_row == tile.a_row && next.rows == tile.rows + steps.a &&
               goes_straight(*next.places) && result_at(next) == result_at(tile) + steps.result;
    }

    // Of tiles from `tile`, the i-th, on: how many one call computes.
    template <typename TileAt>
    std::int64_t alike(const ProductTile& tile, std::int64_t i, std::int64_t tiles, const TileAt& tile_at) const {
        std::int64_t count = 1;
        if (!goes_straight(*tile.places)) return count;
        for (ProductTile before = tile; i + count < tiles; ++count) {
            const ProductTile next = tile_at(i + count);
            if (!continues(before, next)) break;
            before = next;
        }
        return count;
    }

    GemmTiles tiles_of(const ProductTile& tile, std::int64_t count, const Terms& terms, const float* b,
                       std::int64_t b_step, float* sums) const {
        const bool straight = goes_straight(*tile.places);
        GemmTiles t{.a = tile.rows + (tile.a_row == 0 ? terms.begin * gemm.tile_rows : sides.from.of_map(terms.begin)),
                    .b = b + terms.begin * b_step,
                    .b_step = b_step,
                    .k = terms.end - terms.begin,
                    .c = sums,
                    .c_row = gemm.tile_columns,
                    .c_high = gemm.lanes,
                    .rows = rows_of(tile),
                    .columns = maps_down  ? tile.places->count
                               : straight ? tile.maps
                                          : gemm.tile_columns,
                    .accumulate = !terms.first,
                    .past_caches = past_caches && straight && terms.first && terms.last,
                    .finish = false,
                    .row_bias = nullptr,
                    .column_bias = nullptr,
                    .residual = nullptr,
                    .relu = false,
                    .a_row = tile.a_row,
                    .a_block = sides.from.block,
                    .count = count,
                    .a_step = steps_of(tile).a};
        if (!straight) return t;
        const std::int64_t at = result_at(tile);
        t.c = result + at;
        t.c_row = maps_down ? sides.to.map : sides.to.pixel;
        if (!maps_down) t.c_high = sides.to.of_map(tile.map + gemm.lanes) - sides.to.of_map(tile.map);
        t.finish = terms.last && (epilogue.bias != nullptr || epilogue.residual != nullptr || epilogue.relu);
        if (epilogue.bias != nullptr) (maps_down ? t.row_bias : t.column_bias) = tile.bias;
        if (epilogue.residual != nullptr) t.residual = epilogue.residual + at;
        t.relu = epilogue.relu;
        return t;
    }

    Finished finished(const float* sums, const ProductTile& tile) const {
        const std::int64_t offset = sides.to.of_map(tile.map);
        return {.sums = sums,
                .result = result + offset,
                .residual = epilogue.residual == nullptr ? nullptr : epilogue.residual + offset,
                .strides = sides.to,
                .maps = tile.maps,
                .bias = tile.bias,
                .relu = epilogue.relu,
                .at = tile.places->at,
                .pixels = tile.places->count,
                .runs = tile.places->runs,
                .run_count = tile.places->run_count};
    }
};

}  // namespace striate
