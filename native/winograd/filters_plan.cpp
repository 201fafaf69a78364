#include "winograd/filters_plan.h"

#include <algorithm>
#include <cmath>

#include "conv/division.h"
#include "dispatch/kernels.h"
#include "threads/phases.h"
#include "winograd/filters_kernels.h"
#include "winograd/points.h"
#include "winograd/residues.h"
#include "winograd/runs.h"

namespace striate {

namespace {

// Floats that a thread works on at a time, so that they stay in its second cache.
constexpr std::int64_t cache_floats = 440'000;
constexpr std::int64_t least_tiles = 20;    // a chunk that pays for reading and writing the sums
constexpr std::int64_t shared_tiles = 192;  // of a chunk that all threads share, where the second cache holds too few

constexpr std::int64_t item_maps = 64;  // of either side, that a thread multiplies at a time
// The same where one chunk is all: the sums of so many stay in the thread's second cache until they are filters.
constexpr std::int64_t held_rows = 16, held_columns = 32;

// The pixels of one residue, or all pixels.
struct Pixels {
    std::int64_t first;          // floats from the first pixel of a map to theirs
    std::int64_t height, width;  // of the image that they make
    std::int64_t top, left;      // of the first tile
};

// One side of the products: x or dy.
struct Side {
    ImageStrides strides;  // from one pixel of a residue to the next
    const WinogradTilesByKind* tiles;
    std::int64_t maps;            // of a group
    std::int64_t residue_blocks;  // of `lanes` maps
    std::int64_t blocks;          // the same of all residues
    Pixels pixels[4];             // of each residue
    bool maps_together;           // all maps of a pixel lie side by side: they should be read together
};

class WinogradFilters final : public FilterPlan {
public:
    WinogradFilters(const ConvShape& shape, const ConvOptions& options, int m)
        : shape_(shape),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, winograd_filter_kernels)),
          residues_(WinogradResidues::forward(shape)),
          transforms_(transforms_of(kernels_.transforms, m, residues_.rows.taps, residues_.columns.taps)),
          components_(transforms_.rows.components() * transforms_.columns.components()),
          runs_(shape.batch, shape.rows.out(), shape.columns.out(), transforms_.rows, transforms_.columns,
                transforms_.run) {
        const std::int64_t lanes = kernels_.lanes;
        const Side x = side_of_x(options.from);
        const Axis &rows = shape.rows, &columns = shape.columns;
        const std::int64_t dy_blocks = quotient_up(shape.group_out(), lanes);
        const Side dy{.strides = strides_of(options.to, shape.out, rows.out(), columns.out()),
                      .tiles = &transforms_.gradients,
                      .maps = shape.group_out(),
                      .residue_blocks = dy_blocks,
                      .blocks = dy_blocks,
                      .pixels = {{.first = 0, .height = rows.out(), .width = columns.out(), .top = 0, .left = 0}},
                      .maps_together = options.to == Layout::channels_last};
        // registers of columns are computed whole: the side that fills them better is the columns, unless it has
        // residues
        x_is_rows_ = residues_.count() > 1 || x.maps * dy.blocks < dy.maps * x.blocks;
        rows_ = x_is_rows_ ? x : dy;
        columns_ = x_is_rows_ ? dy : x;
        column_pairs_ = quotient_up(columns_.blocks, 2);

        unit_component_ = 2 * lanes * lanes + 16;
        tiles_of_row_ = runs_.columns.tiles();
        const std::int64_t all_rows = shape.batch * runs_.rows.tiles();
        const std::int64_t tile_floats = components_ * (rows_.blocks + columns_.blocks) * lanes;
        const std::int64_t cached_tiles = (cache_floats - units() * unit_floats()) / tile_floats;
        const std::int64_t tiles = all_rows * tiles_of_row_;
        own_chunks_ = cached_tiles >= std::max(least_tiles, tiles_of_row_) && tiles > cached_tiles;
        chunk_rows_ = std::max<std::int64_t>(1, (own_chunks_ ? cached_tiles : shared_tiles) / tiles_of_row_);
        if (!own_chunks_ && tiles <= 2 * shared_tiles) chunk_rows_ = all_rows;  // then no sums are read again
        chunk_rows_ = std::min(chunk_rows_, all_rows);
        if (own_chunks_) chunk_rows_ = std::min(chunk_rows_, quotient_up(all_rows, threads_));
        chunk_rows_ = quotient_up(all_rows, quotient_up(all_rows, chunk_rows_));  // chunks as equal as can be
        chunks_ = quotient_up(all_rows, chunk_rows_);
        slots_ = own_chunks_ ? std::min<std::int64_t>(threads_, chunks_) : 1;
        strip_rows_ = std::max<std::int64_t>(1, 28 / tiles_of_row_);

        item_rows_ = std::min(rows_.blocks, (chunks_ == 1 ? held_rows : item_maps) / lanes);
        item_pairs_ = std::min(column_pairs_, (chunks_ == 1 ? held_columns : item_maps) / (2 * lanes));
        while (!own_chunks_ && item_rows_ * item_pairs_ > 1 && row_items() * pair_items() < 4 * threads_) {
            (item_rows_ > item_pairs_ ? item_rows_ : item_pairs_) /= 2;
        }
    }

    std::int64_t workspace_floats() const override { return slots_ * slot_floats() + threads_ * scratch_floats(); }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const Images images{x_is_rows_ ? x : dy, x_is_rows_ ? dy : x};
        float* const scratches = workspace + slots_ * slot_floats();
        if (own_chunks_) return run_own_chunks(images, dw, workspace, scratches);
        const Chunk chunk = chunk_at(workspace);
        parallel_phases(
            2 * chunks_ * shape_.groups, threads_,
            [&](std::int64_t phase) {
                return phase % 2 == 0 ? strips(phase / 2 % chunks_) : row_items() * pair_items();
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const std::int64_t group = phase / 2 / chunks_, index = phase / 2 % chunks_;
                if (phase % 2 == 0) {
                    return transform(images, chunk, group, index, item, scratches + member * scratch_floats());
                }
                const std::int64_t row = item % row_items() * item_rows_, pair = item / row_items() * item_pairs_;
                const Block block{
                    .row = row,
                    .pair = pair,
                    .rows = std::min(item_rows_, rows_.blocks - row),
                    .pairs = std::min(item_pairs_, column_pairs_ - pair),
                    .units = chunk.units +
                             (chunks_ == 1 ? member * held_units() : pair * rows_.blocks + row) * unit_floats(),
                    .pair_units = chunks_ == 1 ? item_rows_ : rows_.blocks};
                multiply(chunk, block, index, index > 0);
                if (index == chunks_ - 1) filters(block, group, dw);
            });
    }

private:
    Side side_of_x(Layout layout) const {
        const ImageStrides image = strides_of(layout, shape_.in, residues_.rows.in_size, residues_.columns.in_size);
        const std::int64_t blocks = quotient_up(shape_.group_in(), kernels_.lanes);
        Side side{.strides = image,
                  .tiles = &transforms_.images,
                  .maps = shape_.group_in(),
                  .residue_blocks = blocks,
                  .blocks = residues_.count() * blocks,
                  .pixels = {},
                  .maps_together = layout == Layout::channels_last};
        side.strides.row *= residues_.rows.in_step, side.strides.pixel *= residues_.columns.in_step;
        for (std::int64_t index = 0; index < residues_.count(); ++index) {
            const auto& [down, along] = residues_[index];
            side.pixels[index] = {.first = down.in_first * image.row + along.in_first * image.pixel,
                                  .height = down.in_pixels,
                                  .width = along.in_pixels,
                                  .top = down.top,
                                  .left = along.top};
        }
        return side;
    }

    // The images of the two sides.
    struct Images {
        const float *rows, *columns;
    };

    // The components of some rows of tiles, and the sums of their products.
    struct Chunk {
        float *rows, *columns, *units;
    };

    // Some blocks of rows and pairs of blocks of columns, a unit of sums for each of one and one.
    struct Block {
        std::int64_t row, pair;    // the first
        std::int64_t rows, pairs;  // how many
        float* units;
        std::int64_t pair_units;  // units from one pair to the next

        float* unit(std::int64_t r, std::int64_t p, std::int64_t floats) const {
            return units + (p * pair_units + r) * floats;
        }
    };

    // Every thread takes chunks of its own and has sums of its own; in the end these are summed.
    void run_own_chunks(const Images& images, float* dw, float* workspace, float* scratches) const {
        parallel_phases(
            2 * shape_.groups, threads_, [&](std::int64_t phase) { return phase % 2 == 0 ? slots_ : units(); },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const std::int64_t group = phase / 2;
                if (phase % 2 == 0) {
                    const Chunk chunk = chunk_at(workspace + item * slot_floats());
                    const std::int64_t first = item * chunks_ / slots_;
                    for (std::int64_t index = first; index < (item + 1) * chunks_ / slots_; ++index) {
                        for (std::int64_t strip = 0; strip < strips(index); ++strip) {
                            transform(images, chunk, group, index, strip, scratches + member * scratch_floats());
                        }
                        const Block block{.row = 0,
                                          .pair = 0,
                                          .rows = rows_.blocks,
                                          .pairs = column_pairs_,
                                          .units = chunk.units,
                                          .pair_units = rows_.blocks};
                        multiply(chunk, block, index, index > first);
                    }
                    return;
                }
                float* const sums = chunk_at(workspace).units + item * unit_floats();
                for (std::int64_t slot = 1; slot < slots_; ++slot) {
                    const float* const other = sums + slot * slot_floats();
                    for (std::int64_t i = 0; i < unit_floats(); ++i) sums[i] += other[i];
                }
                filters({.row = item % rows_.blocks,
                         .pair = item / rows_.blocks,
                         .rows = 1,
                         .pairs = 1,
                         .units = sums,
                         .pair_units = 1},
                        group, dw);
            });
    }

    Chunk chunk_at(float* workspace) const {
        float* const columns = workspace + rows_.blocks * block_floats();
        return {workspace, columns, columns + columns_.blocks * block_floats()};
    }

    Range runs_of(std::int64_t chunk) const {
        const std::int64_t begin = chunk * chunk_rows_;
        return {begin * runs_.of_row, (begin + rows_of_chunk(chunk)) * runs_.of_row};
    }
    WinogradChunkTiles tiles_of(std::int64_t chunk) const { return {runs_, runs_of(chunk)}; }
    std::int64_t rows_of_chunk(std::int64_t chunk) const {
        return std::min(chunk_rows_, shape_.batch * runs_.rows.tiles() - chunk * chunk_rows_);
    }
    // What is transformed at a time: some rows of tiles of one block of maps.
    std::int64_t strips(std::int64_t chunk) const {
        return (rows_.blocks + columns_.blocks) * quotient_up(rows_of_chunk(chunk), strip_rows_);
    }
    std::int64_t units() const { return rows_.blocks * column_pairs_; }
    std::int64_t row_items() const { return quotient_up(rows_.blocks, item_rows_); }
    std::int64_t pair_items() const { return quotient_up(column_pairs_, item_pairs_); }

    // Of one component of one block: an odd number of registers, lest components fall on the same lines of a cache.
    std::int64_t component_floats() const { return (chunk_rows_ * tiles_of_row_ | 1) * kernels_.lanes; }
    std::int64_t block_floats() const { return components_ * component_floats(); }
    std::int64_t unit_floats() const { return components_ * unit_component_; }
    std::int64_t scratch_floats() const { return transforms_.scratch_floats; }
    // Units that one thread holds, where one chunk is all.
    std::int64_t held_units() const { return item_rows_ * item_pairs_; }
    std::int64_t slot_floats() const {
        const std::int64_t held = chunks_ == 1 ? threads_ * held_units() : units();
        return (rows_.blocks + columns_.blocks) * block_floats() + held * unit_floats();
    }

    // Tiles of some rows of tiles of one block of maps to components.
    void transform(const Images& images, const Chunk& chunk, std::int64_t group, std::int64_t index, std::int64_t item,
                   float* scratch) const {
        const std::int64_t strips = quotient_up(rows_of_chunk(index), strip_rows_);
        const bool is_row = item < rows_.blocks * strips;
        const Side& side = is_row ? rows_ : columns_;
        const std::int64_t part = is_row ? item : item - rows_.blocks * strips;
        const std::int64_t block = side.maps_together ? part % side.blocks : part / strips;
        const std::int64_t first = (side.maps_together ? part / side.blocks : part % strips) * strip_rows_;
        const std::int64_t lanes = kernels_.lanes, map = block % side.residue_blocks * lanes;
        const Pixels& pixels = side.pixels[block / side.residue_blocks];
        const float* const first_map =
            (is_row ? images.rows : images.columns) + side.strides.of_map(group * side.maps + map) + pixels.first;
        float* const components = (is_row ? chunk.rows : chunk.columns) + block * block_floats();
        const WinogradChunkTiles order = tiles_of(index);
        const std::int64_t begin = runs_of(index).begin, rows = std::min(strip_rows_, rows_of_chunk(index) - first);
        for (std::int64_t r = begin + first * runs_.of_row; r < begin + (first + rows) * runs_.of_row; ++r) {
            const WinogradRun run = runs_[r];
            side.tiles->of[run.kind.short_down][run.kind.short_along](
                {.image = first_map + run.image * side.strides.image,
                 .strides = {side.strides.map, side.strides.row, side.strides.pixel},
                 .maps = std::min(lanes, side.maps - map),
                 .height = pixels.height,
                 .width = pixels.width,
                 .top = pixels.top + run.top,
                 .left = pixels.left + run.left,
                 .tiles = run.tiles,
                 .components = components + order.first(run) * lanes,
                 .component = component_floats(),
                 .scratch = scratch});
        }
    }

    // The products of a chunk, of one component after the other. Meanwhile the next component's numbers are fetched.
    void multiply(const Chunk& chunk, const Block& block, std::int64_t index, bool accumulate) const {
        const std::int64_t lanes = kernels_.lanes;
        const WinogradChunkTiles order = tiles_of(index);
        const std::int64_t first_column = 2 * block.pair,
                           end_column = std::min(2 * (block.pair + block.pairs), columns_.blocks);
        for (std::int64_t i = 0; i < components_; ++i) {
            const Range tiles = order.with(i, transforms_.rows, transforms_.columns);
            const Range there = residues_.with(i, transforms_.rows, transforms_.columns);
            const std::int64_t at = i * component_floats() + tiles.begin * lanes;
            const float* const rows = chunk.rows + block.row * block_floats() + at;
            const float* const columns = chunk.columns + first_column * block_floats() + at;
            std::int64_t products = 0;
            for (std::int64_t pair = 0; pair < block.pairs; ++pair) {
                const std::int64_t registers = std::min<std::int64_t>(2, end_column - first_column - 2 * pair);
                for (std::int64_t row = 0; row < block.rows; ++row) {
                    if (!there.has((block.row + row) / rows_.residue_blocks)) {
                        continue;  // of what a tap that the residue lacks would get
                    }
                    const std::int64_t maps =
                        std::min(lanes, rows_.maps - (block.row + row) % rows_.residue_blocks * lanes);
                    float* const sums = block.unit(row, pair, unit_floats()) + i * unit_component_;
                    for (std::int64_t r = 0; r < maps; r += kernels_.sum_rows, ++products) {
                        const std::int64_t next = std::min(products, block.rows + end_column - first_column - 1);
                        const float* const ahead = next < block.rows ? rows + next * block_floats()
                                                                     : columns + (next - block.rows) * block_floats();
                        kernels_.multiply[std::min(kernels_.sum_rows, maps - r) - 1][registers - 1](
                            {.rows = rows + row * block_floats() + r,
                             .columns = columns + 2 * pair * block_floats(),
                             .column_block = block_floats(),
                             .tiles = tiles.size(),
                             .ahead = ahead + (i + 1 < components_ ? component_floats() : 0),
                             .sums = sums + r * 2 * lanes,
                             .accumulate = accumulate});
                    }
                }
            }
        }
    }

    void filters(const Block& block, std::int64_t group, float* dw) const {
        const std::int64_t lanes = kernels_.lanes, of_in = shape_.taps(), of_out = of_in * shape_.group_in();
        const std::int64_t of_row = x_is_rows_ ? of_in : of_out, of_column = x_is_rows_ ? of_out : of_in;
        float* const group_filters = dw + group * shape_.group_out() * of_out;
        for (std::int64_t pair = 0; pair < block.pairs; ++pair) {
            const std::int64_t column = 2 * (block.pair + pair) * lanes;
            for (std::int64_t r = 0; r < block.rows; ++r) {
                const auto& [down, along] = residues_[(block.row + r) / rows_.residue_blocks];
                const std::int64_t row = (block.row + r) % rows_.residue_blocks * lanes;
                const std::int64_t tap = down.first_tap * shape_.columns.kernel + along.first_tap;
                transforms_.filters({.sums = block.unit(r, pair, unit_floats()),
                                     .component = unit_component_,
                                     .rows = std::min(lanes, rows_.maps - row),
                                     .columns = std::min(2 * lanes, columns_.maps - column),
                                     .filters = group_filters + row * of_row + column * of_column + tap,
                                     .row = of_row,
                                     .column = of_column,
                                     .taps_down = down.taps,
                                     .taps_along = along.taps,
                                     .tap_row = residues_.rows.tap_step * shape_.columns.kernel,
                                     .tap_column = residues_.columns.tap_step});
            }
        }
    }

    ConvShape shape_;
    int threads_;
    const WinogradFilterKernels& kernels_;
    WinogradResidues residues_;
    const WinogradFilterTransforms& transforms_;
    std::int64_t components_;  // of a tile
    WinogradRuns runs_;
    bool x_is_rows_;
    Side rows_, columns_;        // of the products
    std::int64_t column_pairs_;  // pairs of blocks
    std::int64_t tiles_of_row_;
    std::int64_t chunks_, chunk_rows_;     // rows of tiles that are transformed, then multiplied
    bool own_chunks_;                      // by one thread, beside others
    std::int64_t slots_;                   // chunks in work at a time
    std::int64_t strip_rows_;              // rows of tiles of one block that a thread transforms at a time
    std::int64_t item_rows_, item_pairs_;  // blocks and pairs of blocks that a thread multiplies at a time
    std::int64_t unit_component_;          // floats from one component of a unit to the next
};

// Pairs of a pixel and a result that meet at one tap, at the tap where most do; at least 1.
std::int64_t most_pairs(const Axis& axis) {
    std::int64_t most = 1;
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
        const std::int64_t first = quotient_up(std::max<std::int64_t>(0, axis.low - tap), axis.stride),
                           end = quotient_up(std::max<std::int64_t>(0, axis.size + axis.low - tap), axis.stride);
        most = std::max(most, std::min(axis.out(), end) - first);
    }
    return most;
}

}  // namespace

std::unique_ptr<FilterPlan> winograd_filters(const ConvShape& shape, const ConvOptions& options, int m) {
    return std::make_unique<WinogradFilters>(shape, options, m);
}

double winograd_filters_roundings(const ConvShape& shape, int m) {
    const auto size_of = [&](const Axis& axis) {
        const int outputs = outputs_of(m, taps_of(axis)), taps = static_cast<int>(taps_of(axis));
        return WinogradSize{outputs, taps, std::min(outputs, short_outputs(m))};
    };
    const WinogradSize down = size_of(shape.rows), along = size_of(shape.columns);
    const std::int64_t rows = WinogradAxis(shape.rows.out(), down).tiles(),
                       columns = WinogradAxis(shape.columns.out(), along).tiles();
    const double crowded =
        static_cast<double>(rows * columns) / static_cast<double>(most_pairs(shape.rows) * most_pairs(shape.columns));
    const std::int64_t of_transforms = down.m + along.m + 2 * (down.components() + along.components()) + 3;
    return crowded * std::sqrt(static_cast<double>(shape.batch * rows * columns + of_transforms));
}

}  // namespace striate
