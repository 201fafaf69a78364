#include "winograd/filters_plan.h"

#include <algorithm>
#include <cmath>

#include "dispatch/kernels.h"
#include "threads/phases.h"
#include "winograd/filters_kernels.h"
#include "winograd/points.h"

namespace striate {

namespace {

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr std::int64_t chunk_tiles = 192;  // whose components are summed before they are added to the sums of others

// One side of the products: x or dy.
struct Side {
    ImageStrides strides;
    void (*tiles)(const WinogradTiles&);
    std::int64_t maps;           // of a group
    std::int64_t blocks;         // of `lanes` maps
    std::int64_t height, width;  // of an image
    std::int64_t top, left;      // of the first tile
};

class WinogradFilters final : public FilterPlan {
public:
    WinogradFilters(const ConvShape& shape, const ConvOptions& options, int m)
        : shape_(shape),
          m_(m),
          components_((m + 2) * (m + 2)),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, winograd_filter_kernels)) {
        const std::int64_t lanes = kernels_.lanes, kind = m / 2 - 1;
        const Axis &rows = shape.rows, &columns = shape.columns;
        const Side x{.strides = strides_of(options.from, shape.in, rows.size, columns.size),
                     .tiles = kernels_.images[kind],
                     .maps = shape.group_in(),
                     .blocks = quotient_up(shape.group_in(), lanes),
                     .height = rows.size,
                     .width = columns.size,
                     .top = -rows.low,
                     .left = -columns.low};
        const Side dy{.strides = strides_of(options.to, shape.out, rows.out(), columns.out()),
                      .tiles = kernels_.gradients[kind],
                      .maps = shape.group_out(),
                      .blocks = quotient_up(shape.group_out(), lanes),
                      .height = rows.out(),
                      .width = columns.out(),
                      .top = 0,
                      .left = 0};
        // registers of columns are computed whole: the side that fills them better is the columns
        x_is_rows_ = x.maps * dy.blocks < dy.maps * x.blocks;
        rows_ = x_is_rows_ ? x : dy;
        columns_ = x_is_rows_ ? dy : x;
        column_pairs_ = quotient_up(columns_.blocks, 2);

        tile_rows_ = quotient_up(rows.out(), m);
        tile_columns_ = quotient_up(columns.out(), m);
        const std::int64_t all_rows = shape.batch * tile_rows_;
        chunks_ = std::max<std::int64_t>(1, all_rows * tile_columns_ / chunk_tiles);
        chunk_rows_ = quotient_up(all_rows, chunks_);
        chunks_ = quotient_up(all_rows, chunk_rows_);
        strip_rows_ = std::max<std::int64_t>(1, 28 / tile_columns_);

        unit_component_ = 2 * lanes * lanes + 16;
        item_rows_ = std::min<std::int64_t>(rows_.blocks, chunks_ == 1 ? 1 : 4);
        item_pairs_ = std::min<std::int64_t>(column_pairs_, chunks_ == 1 ? 1 : 2);
    }

    std::int64_t workspace_floats() const override {
        const std::int64_t units = chunks_ == 1 ? threads_ * item_rows_ * item_pairs_ : rows_.blocks * column_pairs_;
        return (rows_.blocks + columns_.blocks) * block_floats() + units * unit_floats() + threads_ * scratch_floats();
    }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const Work work = work_of(x, dy, dw, workspace);
        const std::int64_t row_items = quotient_up(rows_.blocks, item_rows_);
        const std::int64_t items = row_items * quotient_up(column_pairs_, item_pairs_);
        parallel_phases(
            2 * chunks_ * shape_.groups, threads_,
            [&](std::int64_t phase) {
                return phase % 2 == 0 ? (rows_.blocks + columns_.blocks) * quotient_up(rows_of_chunk(phase / 2 % chunks_), strip_rows_)
                                      : items;
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const std::int64_t group = phase / 2 / chunks_, chunk = phase / 2 % chunks_;
                if (phase % 2 == 0) {
                    transform(work, group, chunk, item, member);
                } else {
                    multiply(work, group, chunk, item % row_items * item_rows_, item / row_items * item_pairs_, member);
                }
            });
    }

private:
    // What a run reads and writes.
    struct Work {
        const float *row_images, *column_images;
        float* dw;
        float *rows, *columns, *units, *scratch;
    };

    Work work_of(const float* x, const float* dy, float* dw, float* workspace) const {
        float* const rows = workspace;
        float* const columns = rows + rows_.blocks * block_floats();
        float* const units = columns + columns_.blocks * block_floats();
        const std::int64_t held = chunks_ == 1 ? threads_ * item_rows_ * item_pairs_ : rows_.blocks * column_pairs_;
        return {x_is_rows_ ? x : dy, x_is_rows_ ? dy : x, dw, rows, columns, units, units + held * unit_floats()};
    }

    std::int64_t rows_of_chunk(std::int64_t chunk) const {
        return std::min(chunk_rows_, shape_.batch * tile_rows_ - chunk * chunk_rows_);
    }

    // Of one component of one block: an odd number of registers, lest components fall on the same lines of a cache.
    std::int64_t component_floats() const { return (chunk_rows_ * tile_columns_ | 1) * kernels_.lanes; }
    std::int64_t block_floats() const { return components_ * component_floats(); }
    std::int64_t unit_floats() const { return components_ * unit_component_; }
    std::int64_t scratch_floats() const { return winograd_filter_scratch(m_, kernels_.lanes); }

    // Tiles of some rows of tiles of one block of maps to components.
    void transform(const Work& work, std::int64_t group, std::int64_t chunk, std::int64_t item, int member) const {
        const std::int64_t strips = quotient_up(rows_of_chunk(chunk), strip_rows_);
        const bool is_row = item / strips < rows_.blocks;
        const Side& side = is_row ? rows_ : columns_;
        const std::int64_t block = is_row ? item / strips : item / strips - rows_.blocks;
        const std::int64_t lanes = kernels_.lanes, map = block * lanes;
        const float* const images = (is_row ? work.row_images : work.column_images) + side.strides.of_map(group * side.maps + map);
        float* const components = (is_row ? work.rows : work.columns) + block * block_floats();
        const std::int64_t first = item % strips * strip_rows_;
        const std::int64_t runs = quotient_up(tile_columns_, winograd_filter_run(m_));
        for (std::int64_t row = first; row < std::min(first + strip_rows_, rows_of_chunk(chunk)); ++row) {
            const std::int64_t tile_row = chunk * chunk_rows_ + row;
            for (std::int64_t run = 0; run < runs; ++run) {
                const std::int64_t column = run * tile_columns_ / runs;
                side.tiles({.image = images + tile_row / tile_rows_ * side.strides.image,
                            .strides = {side.strides.map, side.strides.row, side.strides.pixel},
                            .maps = std::min(lanes, side.maps - map),
                            .height = side.height,
                            .width = side.width,
                            .top = side.top + tile_row % tile_rows_ * m_,
                            .left = side.left + column * m_,
                            .tiles = (run + 1) * tile_columns_ / runs - column,
                            .components = components + (row * tile_columns_ + column) * lanes,
                            .component = component_floats(),
                            .scratch = work.scratch + member * scratch_floats()});
            }
        }
    }

    // The products of some blocks of rows with some pairs of blocks of columns; after the last chunk, their filters.
    void multiply(const Work& work, std::int64_t group, std::int64_t chunk, std::int64_t first_row, std::int64_t first_pair,
                  int member) const {
        const std::int64_t lanes = kernels_.lanes;
        const std::int64_t end_row = std::min(first_row + item_rows_, rows_.blocks);
        const std::int64_t end_pair = std::min(first_pair + item_pairs_, column_pairs_);
        const auto unit = [&](std::int64_t row, std::int64_t pair) {
            const std::int64_t index = chunks_ == 1 ? (member * item_pairs_ + pair - first_pair) * item_rows_ + row - first_row
                                                    : pair * rows_.blocks + row;
            return work.units + index * unit_floats();
        };
        for (std::int64_t i = 0; i < components_; ++i) {
            for (std::int64_t pair = first_pair; pair < end_pair; ++pair) {
                const std::int64_t registers = std::min<std::int64_t>(2, columns_.blocks - 2 * pair);
                for (std::int64_t row = first_row; row < end_row; ++row) {
                    const std::int64_t maps = std::min(lanes, rows_.maps - row * lanes);
                    for (std::int64_t r = 0; r < maps; r += kernels_.sum_rows) {
                        kernels_.multiply[std::min(kernels_.sum_rows, maps - r) - 1][registers - 1](
                            {.rows = work.rows + row * block_floats() + i * component_floats() + r,
                             .columns = work.columns + 2 * pair * block_floats() + i * component_floats(),
                             .column_block = block_floats(),
                             .tiles = rows_of_chunk(chunk) * tile_columns_,
                             .sums = unit(row, pair) + i * unit_component_ + r * 2 * lanes,
                             .accumulate = chunk > 0});
                    }
                }
            }
        }
        if (chunk < chunks_ - 1) return;
        const std::int64_t of_in = 9, of_out = 9 * shape_.group_in();
        const std::int64_t of_row = x_is_rows_ ? of_in : of_out, of_column = x_is_rows_ ? of_out : of_in;
        float* const filters = work.dw + group * shape_.group_out() * of_out;
        for (std::int64_t pair = first_pair; pair < end_pair; ++pair) {
            for (std::int64_t row = first_row; row < end_row; ++row) {
                kernels_.filters[m_ / 2 - 1](
                    {.sums = unit(row, pair),
                     .component = unit_component_,
                     .rows = std::min(lanes, rows_.maps - row * lanes),
                     .columns = std::min(2 * lanes, columns_.maps - pair * 2 * lanes),
                     .filters = filters + row * lanes * of_row + pair * 2 * lanes * of_column,
                     .row = of_row,
                     .column = of_column});
            }
        }
    }

    ConvShape shape_;
    std::int64_t m_, components_;
    int threads_;
    const WinogradFilterKernels& kernels_;
    bool x_is_rows_;
    Side rows_, columns_;                    // of the products
    std::int64_t column_pairs_;              // pairs of blocks
    std::int64_t tile_rows_, tile_columns_;  // of an image
    std::int64_t chunks_, chunk_rows_;       // rows of tiles that are transformed, then multiplied
    std::int64_t strip_rows_;                // rows of tiles of one block that a thread transforms at a time
    std::int64_t item_rows_, item_pairs_;    // blocks and pairs of blocks that a thread multiplies at a time
    std::int64_t unit_component_;            // floats from one component of a unit to the next
};

}  // namespace

std::unique_ptr<FilterPlan> winograd_filters(const ConvShape& shape, const ConvOptions& options, int m) {
    return std::make_unique<WinogradFilters>(shape, options, m);
}

double winograd_filters_error_bound(const ConvShape&, int) { return 300; }

}  // namespace striate
