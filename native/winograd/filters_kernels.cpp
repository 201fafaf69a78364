// Tiles in, products summed over tiles, filters out, compiled once per instruction set.
#include "winograd/filters_kernels.h"

#include "simd/bounds.h"
#include "simd/rows.h"
#include "winograd/matrix.h"
#include "winograd/transform.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

// Pixels of a run's row: four registers of 16.
constexpr int run_pixels = 64;
constexpr int row_floats = (run_pixels + lanes) * lanes;  // with room for a register more

// Of 32 registers 16 sums, twice what covers the latency, and half a block of maps; of 16 registers 8.
constexpr int sum_rows = registers / 4;

// Bᵀ of tiles of x, and A of tiles of dy, by a Transform; tiles are `step` pixels apart.
template <typename Filtering>
struct OfX {
    using Of = Filtering;
    static constexpr int columns = Filtering::size, rows = Filtering::size, step = Filtering::outputs;
    static inline __attribute__((always_inline)) void apply(const Floats (&in)[columns], Floats (&out)[rows]) {
        Filtering::input(in, out);
    }
};
template <typename Filtering>
struct OfGradient {
    using Of = Filtering;
    static constexpr int columns = Filtering::outputs, rows = Filtering::size, step = Filtering::outputs;
    static inline __attribute__((always_inline)) void apply(const Floats (&in)[columns], Floats (&out)[rows]) {
        Product<a_matrix<Filtering>>::by_rows(in, out);
    }
};

// Down · tile · Alongᵀ.
template <typename Down, typename Along, bool Whole>
void tiles_of(const WinogradTiles& run, std::int64_t begin, std::int64_t end, std::int64_t maps,
              const float* (&rows)[Down::columns], const std::int64_t (&steps)[Down::columns]) {
    constexpr int in = Along::columns, step = Along::step, shared = in - step;  // columns that the next tile sees too
    Floats down[Down::rows][in];
    std::int64_t x = run.left;
    const auto next_column = [&](int j) __attribute__((always_inline)) {
        Floats column[Down::columns], result[Down::rows];
        if (x < begin || x >= end) {
#pragma GCC unroll 16
            for (int i = 0; i < Down::rows; ++i) down[i][j] = zeros();
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < Down::columns; ++i) {
                column[i] = Whole ? load(rows[i]) : load_first(rows[i], maps);
                __builtin_prefetch(rows[i] + 8 * steps[i]);  // maps that lie together leave pixels far apart
                rows[i] += steps[i];
            }
            Down::apply(column, result);
#pragma GCC unroll 16
            for (int i = 0; i < Down::rows; ++i) down[i][j] = result[i];
        }
        ++x;
    };
    for (int j = 0; j < shared; ++j) next_column(step + j);
    for (std::int64_t t = 0; t < run.tiles; ++t) {
#pragma GCC unroll 16
        for (int i = 0; i < Down::rows; ++i) {
#pragma GCC unroll 16
            for (int j = 0; j < shared; ++j) down[i][j] = down[i][j + step];
        }
        for (int j = shared; j < in; ++j) next_column(j);
#pragma GCC unroll 16
        for (int i = 0; i < Down::rows; ++i) {
            Floats along[Along::rows];
            Along::apply(down[i], along);
            float* const row = run.components + Down::Of::place(i) * Along::Of::products * run.component + t * lanes;
#pragma GCC unroll 16
            for (int j = 0; j < Along::rows; ++j) store(row + Along::Of::place(j) * run.component, along[j]);
        }
    }
}

template <typename Down, typename Along>
void tiles(const WinogradTiles& run) {
    constexpr int in = Down::columns;
    alignas(64) static constexpr float nothing[lanes] = {};
    const std::int64_t pixels = run.tiles * Along::step + Along::columns - Along::step;
    const std::int64_t begin = larger(run.left, 0), end = larger(begin, smaller(run.left + pixels, run.width));
    const bool as_they_lie = run.strides.map == 1;
    const float* rows[in];  // their pixel `begin`
    std::int64_t steps[in];
    for (int i = 0; i < in; ++i) {
        const std::int64_t y = run.top + i;
        rows[i] = nothing, steps[i] = 0;
        if (y < 0 || y >= run.height || begin == end) continue;
        const float* row = run.image + y * run.strides.row;
        if (as_they_lie) {
            rows[i] = row + begin * run.strides.pixel, steps[i] = run.strides.pixel;
            continue;
        }
        float* const to = run.scratch + i * row_floats;
        gather_row(row, run.strides, run.maps, run.width, begin, end, to);
        rows[i] = to, steps[i] = lanes;
    }
    if (as_they_lie && run.maps < lanes) {
        tiles_of<Down, Along, false>(run, begin, end, run.maps, rows, steps);
    } else {
        tiles_of<Down, Along, true>(run, begin, end, lanes, rows, steps);
    }
}

template <int Rows, int Columns>
void multiply(const WinogradSums& of) {
    Floats sums[Rows][Columns];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
        for (int j = 0; j < Columns; ++j) sums[r][j] = zeros();
    }
    const float *rows = of.rows, *columns = of.columns, *ahead = of.ahead;
    for (std::int64_t t = 0; t < of.tiles; ++t) {
        Floats column[Columns];
#pragma GCC unroll 2
        for (int j = 0; j < Columns; ++j) column[j] = load(columns + j * of.column_block);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
            const Floats spread = all(rows[r]);
#pragma GCC unroll 2
            for (int j = 0; j < Columns; ++j) sums[r][j] = multiply_add(spread, column[j], sums[r][j]);
        }
        __builtin_prefetch(ahead, 0, 2);
        rows += lanes;
        columns += lanes;
        ahead += lanes;
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
        for (int j = 0; j < Columns; ++j) {
            float* const to = of.sums + (r * 2 + j) * lanes;
            store(to, of.accumulate ? load(to) + sums[r][j] : sums[r][j]);
        }
    }
}

// A residue's taps, to where they belong among the others.
template <int Down, int Along>
void put_among_others(const Floats (&each)[Down * Along], const WinogradUnit& unit, std::int64_t maps, float* to) {
    for (int i = 0; i < Down && i < unit.taps_down; ++i) {
        for (int j = 0; j < Along && j < unit.taps_along; ++j) {
            float tap[lanes];
            store(tap, each[i * Along + j]);
            for (std::int64_t lane = 0; lane < maps; ++lane) {
                to[lane * unit.column + i * unit.tap_row + j * unit.tap_column] = tap[lane];
            }
        }
    }
}

// Gᵀ sums G, every lane a filter; then filters as they lie, tap after tap.
template <typename Down, typename Along>
void filters(const WinogradUnit& unit) {
    constexpr int taps = Down::taps * Along::taps;
    for (std::int64_t r = 0; r < unit.rows; ++r) {
        for (std::int64_t first = 0; first < unit.columns; first += lanes) {
            const float* from = unit.sums + r * 2 * lanes + first;
            Floats half[Down::taps][Along::size];
#pragma GCC unroll 16
            for (int j = 0; j < Along::size; ++j) {
                Floats column[Down::size], down[Down::taps];
#pragma GCC unroll 16
                for (int i = 0; i < Down::size; ++i) column[i] = load(from + (i * Along::size + j) * unit.component);
                Product<gt_matrix<Down>>::by_columns(column, down);
#pragma GCC unroll 16
                for (int i = 0; i < Down::taps; ++i) half[i][j] = down[i];
            }
            Floats each[taps];
#pragma GCC unroll 16
            for (int i = 0; i < Down::taps; ++i) {
                Floats along[Along::taps];
                Product<gt_matrix<Along>>::by_columns(half[i], along);
#pragma GCC unroll 16
                for (int j = 0; j < Along::taps; ++j) each[i * Along::taps + j] = along[j];
            }

            float* const to = unit.filters + r * unit.row + first * unit.column;
            const std::int64_t maps = smaller(lanes, unit.columns - first);
            if (unit.tap_column != 1) {
                put_among_others<Down::taps, Along::taps>(each, unit, maps, to);
                continue;
            }
#pragma GCC unroll 16
            for (int begin = 0; begin < taps; begin += lanes) {
                Floats block[lanes];
#pragma GCC unroll 16
                for (int tap = 0; tap < lanes; ++tap) block[tap] = begin + tap < taps ? each[begin + tap] : zeros();
                transpose(block);
#pragma GCC unroll 16
                for (int lane = 0; lane < lanes; ++lane) {
                    if (lane >= maps) break;
                    store_first(to + lane * unit.column + begin, block[lane], smaller(lanes, taps - begin));
                }
            }
        }
    }
}

template <template <typename> class Side, typename Down, typename Along, typename ShortDown, typename ShortAlong>
constexpr WinogradTilesByKind by_kind = {
    {{tiles<Side<Down>, Side<Along>>, tiles<Side<Down>, Side<ShortAlong>>},
     {tiles<Side<ShortDown>, Side<Along>>, tiles<Side<ShortDown>, Side<ShortAlong>>}}};

struct FilterTransformsOf {
    template <typename Down, typename Along, typename ShortDown, typename ShortAlong>
    static constexpr WinogradFilterTransforms of = {
        .rows = {Down::outputs, Down::taps, ShortDown::outputs},
        .columns = {Along::outputs, Along::taps, ShortAlong::outputs},
        .run = (run_pixels - Along::taps + 1) / Along::outputs,
        .scratch_floats = Down::size * row_floats,
        .images = by_kind<OfX, Down, Along, ShortDown, ShortAlong>,
        .gradients = by_kind<OfGradient, Down, Along, ShortDown, ShortAlong>,
        .filters = filters<Down, Along>,
    };
};

#define ROWS(rows) {multiply<rows, 1>, multiply<rows, 2>}

}  // namespace

const WinogradFilterKernels winograd_filter_kernels = {
    lanes,
    sum_rows,
    ForEachTransform<FilterTransformsOf>::table,
    {ROWS(1), ROWS(2), ROWS(3), ROWS(4), ROWS(5), ROWS(6), ROWS(7), ROWS(8)}};

#undef ROWS

}  // namespace striate::STRIATE_ISA_NAMESPACE
