// How the results of a batch are cut into tiles, and those into runs of neighbours in one row of tiles, counted through
// all rows and images: for the plans of float32 and of bfloat16.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <ranges>

#include "conv/division.h"
#include "winograd/images_plan.h"
#include "winograd/size.h"

namespace striate {

// F(m, r), along each axis, among the transforms of a table, which has it.
template <typename Transforms>
const Transforms& transforms_of(const Transforms* each, int m, std::int64_t row_taps, std::int64_t column_taps) {
    const int rows = outputs_of(m, row_taps), columns = outputs_of(m, column_taps);
    while (each->rows.m != rows || each->rows.r != row_taps || each->columns.m != columns ||
           each->columns.r != column_taps) {
        ++each;
    }
    return *each;
}

// How an axis is cut into tiles: long ones, and behind them short ones, as many of each as makes the fewest products.
struct WinogradAxis {
    std::int64_t m, short_m;  // outputs of a tile
    std::int64_t long_tiles, short_tiles;

    WinogradAxis(std::int64_t outputs, const WinogradSize& size)
        : m(size.m), short_m(size.short_m), long_tiles(quotient_up(outputs, m)), short_tiles(0) {
        std::int64_t fewest = long_tiles * size.components();
        for (std::int64_t shorts = 1; short_m < m && shorts < m; ++shorts) {
            const std::int64_t longs = quotient_up(std::max<std::int64_t>(0, outputs - shorts * short_m), m);
            const std::int64_t products = longs * size.components() + shorts * size.components(true);
            if (products < fewest) fewest = products, long_tiles = longs, short_tiles = shorts;
        }
    }

    std::int64_t tiles() const { return long_tiles + short_tiles; }
    std::int64_t output_of(std::int64_t tile) const {  // the first of a tile
        return std::min(tile, long_tiles) * m + std::max<std::int64_t>(0, tile - long_tiles) * short_m;
    }
    std::int64_t outputs(bool is_short) const { return is_short ? short_m : m; }
};

// Tiles that are short along neither axis, either, or both.
//
// In a chunk they lie in this order, so that a component which short tiles do not have finds its tiles side by side.
struct WinogradKind {
    bool short_down, short_along;
    constexpr int place() const { return short_down ? (short_along ? 3 : 2) : (short_along ? 0 : 1); }
};
constexpr int winograd_kinds = 4;
using WinogradCounts = std::array<std::int64_t, winograd_kinds>;  // of tiles, by their kind's place

struct WinogradRun {
    std::int64_t image;
    std::int64_t top, left;  // its first output
    std::int64_t tiles;
    WinogradKind kind;
    WinogradCounts before;  // tiles of all runs before it
};

struct WinogradRuns {
    WinogradAxis rows, columns;
    std::int64_t longest;            // tiles of a run, at most
    std::int64_t long_runs, of_row;  // of a row of tiles: runs of long tiles, and those with the short ones' run
    std::int64_t tiles_of_run, longer_runs;  // of a run of long tiles; so many runs have one tile more
    std::int64_t count;                      // runs of all images
    WinogradCounts products;                 // components of a tile, by its kind's place

    WinogradRuns(std::int64_t batch, std::int64_t row_outputs, std::int64_t column_outputs,
                 const WinogradSize& row_size, const WinogradSize& column_size, std::int64_t at_most)
        : rows(row_outputs, row_size),
          columns(column_outputs, column_size),
          longest(at_most),
          long_runs(quotient_up(columns.long_tiles, longest)),
          of_row(long_runs + (columns.short_tiles > 0 ? 1 : 0)),
          tiles_of_run(long_runs > 0 ? columns.long_tiles / long_runs : 0),
          longer_runs(columns.long_tiles - tiles_of_run * long_runs),
          count(batch * rows.tiles() * of_row),
          products{} {
        for (const bool down : {false, true}) {
            for (const bool along : {false, true}) {
                products[WinogradKind{down, along}.place()] = row_size.components(down) * column_size.components(along);
            }
        }
    }

    // The run behind the last has no tiles, and all before it.
    WinogradRun operator[](std::int64_t run) const {
        const std::int64_t all_rows = of_row > 0 ? run / of_row : 0, run_of_row = run - all_rows * of_row;
        const std::int64_t image = rows.tiles() > 0 ? all_rows / rows.tiles() : 0,
                           row = all_rows - image * rows.tiles();
        const WinogradKind kind{row >= rows.long_tiles, run_of_row >= long_runs};
        const auto longs_before = [&](std::int64_t index) {
            return index < long_runs ? index * tiles_of_run + std::min(index, longer_runs) : columns.long_tiles;
        };
        const std::int64_t longs = longs_before(run_of_row);
        const std::int64_t long_rows = image * rows.long_tiles + std::min(row, rows.long_tiles),
                           short_rows = image * rows.short_tiles + std::max<std::int64_t>(0, row - rows.long_tiles);
        WinogradRun at{.image = image,
                       .top = rows.output_of(row),
                       .left = columns.output_of(longs),
                       .tiles = kind.short_along ? columns.short_tiles : longs_before(run_of_row + 1) - longs,
                       .kind = kind,
                       .before = {}};
        for (const bool down : {false, true}) {
            const std::int64_t whole = down ? short_rows : long_rows;
            const bool is_here = down == kind.short_down;
            at.before[WinogradKind{down, false}.place()] = whole * columns.long_tiles + (is_here ? longs : 0);
            at.before[WinogradKind{down, true}.place()] = whole * columns.short_tiles;
        }
        return at;
    }

    // Of one map with one map, in all runs before this one.
    std::int64_t products_before(std::int64_t run) const {
        const WinogradCounts before = (*this)[run].before;
        std::int64_t sum = 0;
        for (int kind = 0; kind < winograd_kinds; ++kind) sum += before[kind] * products[kind];
        return sum;
    }

    // The runs of chunk `index` of `chunks`, which have as nearly the same number of products as runs let them.
    Range chunk(std::int64_t index, std::int64_t chunks) const {
        return {chunk_begin(index, chunks), chunk_begin(index + 1, chunks)};
    }

private:
    std::int64_t chunk_begin(std::int64_t index, std::int64_t chunks) const {
        if (index == chunks) return count;
        const auto wanted = static_cast<std::int64_t>(static_cast<double>(products_before(count)) *
                                                      static_cast<double>(index) / static_cast<double>(chunks));
        const auto runs = std::views::iota(std::int64_t{0}, count);
        const std::int64_t run =
            std::ranges::partition_point(runs, [&](std::int64_t r) { return products_before(r) < wanted; }) -
            runs.begin();
        if (run == 0) return 0;
        return wanted - products_before(run - 1) < products_before(run) - wanted ? run - 1 : run;
    }
};

// The tiles of some neighbouring runs, in the order of their kinds.
class WinogradChunkTiles {
public:
    WinogradChunkTiles(const WinogradRuns& all, Range runs) : before_(all[runs.begin].before) {
        const WinogradCounts to_end = all[runs.end].before;
        for (int kind = 0; kind < winograd_kinds; ++kind) {
            starts_[kind + 1] = starts_[kind] + to_end[kind] - before_[kind];
        }
    }

    std::int64_t count() const { return starts_[winograd_kinds]; }
    std::int64_t first(const WinogradRun& run) const {
        const int kind = run.kind.place();
        return starts_[kind] + run.before[kind] - before_[kind];
    }
    // Those that have component k: short tiles lack some.
    Range with(std::int64_t k, const WinogradSize& rows, const WinogradSize& columns) const {
        const int along = columns.components(), i = static_cast<int>(k) / along, j = static_cast<int>(k) % along;
        const bool short_along = columns.in_short(j);
        return {starts_[short_along ? 0 : 1], starts_[!rows.in_short(i) ? 2 : short_along ? 4 : 3]};
    }

private:
    WinogradCounts before_;
    std::int64_t starts_[winograd_kinds + 1] = {};
};

}  // namespace striate
