// Packing and the register tile, compiled once per instruction set.
//
// A tile is `tile_rows` × 2 registers of C. For every k it takes two registers of B and one value of A per row, spread
// over a register: tile_rows · 2 multiply-adds for tile_rows + 2 loads. The rows are as many as the registers hold:
// 14 of 32 (AVX-512), 6 of 16 (AVX2 and portable), so that the sums that run side by side cover the latency of one.
#include "gemm/kernels.h"

#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

#if defined(__AVX512F__)
constexpr int tile_rows = 14;
#else
constexpr int tile_rows = 6;
#endif
constexpr int tile_columns = 2 * lanes;
constexpr int ahead = 16 * tile_rows;  // floats of A's panel that are fetched before their turn

void pack_a(const float* from, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t k, float* panel) {
    if (rows < tile_rows) std::memset(panel, 0, static_cast<std::size_t>(k * tile_rows) * sizeof(float));
    for (std::int64_t p = 0; p < k; ++p) {
        const float* source = from + p * column;
        float* to = panel + p * tile_rows;
        for (std::int64_t i = 0; i < rows; ++i) to[i] = source[i * row];
    }
}

void pack_b(const float* from, std::int64_t row, std::int64_t column, std::int64_t columns, std::int64_t k,
            float* panel) {
    if (column == 1 && columns == tile_columns) {
        for (std::int64_t p = 0; p < k; ++p) {
            store(panel + p * tile_columns, load(from + p * row));
            store(panel + p * tile_columns + lanes, load(from + p * row + lanes));
        }
        return;
    }
    if (columns < tile_columns) std::memset(panel, 0, static_cast<std::size_t>(k * tile_columns) * sizeof(float));
    for (std::int64_t p = 0; p < k; ++p) {
        const float* source = from + p * row;
        float* to = panel + p * tile_columns;
        for (std::int64_t j = 0; j < columns; ++j) to[j] = source[j * column];
    }
}

// `columns` of a row of C, spread over its two registers.
struct Columns {
    std::int64_t low, high;
};

inline Columns split(std::int64_t columns) {
    return columns <= lanes ? Columns{columns, 0} : Columns{lanes, columns - lanes};
}

template <int Rows>
void tile_of(const float* a, const float* b, std::int64_t k, float* c, std::int64_t c_row, std::int64_t columns,
             bool accumulate) {
    Floats low[Rows], high[Rows];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
        low[i] = high[i] = zeros();
        __builtin_prefetch(c + i * c_row, 1);  // C is not needed before the end, and is far away
        __builtin_prefetch(c + i * c_row + lanes, 1);
    }
    for (std::int64_t p = 0; p < k; ++p) {
        const Floats b_low = load(b), b_high = load(b + lanes);
        __builtin_prefetch(a + ahead);  // A streams from the second cache; B stays in the first
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
            const Floats spread = all(a[i]);
            low[i] = multiply_add(spread, b_low, low[i]);
            high[i] = multiply_add(spread, b_high, high[i]);
        }
        a += tile_rows;
        b += tile_columns;
    }
    if (columns == tile_columns) {
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
            float* to = c + i * c_row;
            store(to, accumulate ? load(to) + low[i] : low[i]);
            store(to + lanes, accumulate ? load(to + lanes) + high[i] : high[i]);
        }
        return;
    }
    const Columns part = split(columns);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
        float* to = c + i * c_row;
        store_first(to, accumulate ? load_first(to, part.low) + low[i] : low[i], part.low);
        if (part.high == 0) continue;
        store_first(to + lanes, accumulate ? load_first(to + lanes, part.high) + high[i] : high[i], part.high);
    }
}

// The tile with exactly `rows` rows: a row that is not there would be computed for nothing.
template <int Rows = tile_rows>
void tile(const float* a, const float* b, std::int64_t k, float* c, std::int64_t c_row, std::int64_t rows,
          std::int64_t columns, bool accumulate) {
    if (rows == Rows) return tile_of<Rows>(a, b, k, c, c_row, columns, accumulate);
    if constexpr (Rows > 1) tile<Rows - 1>(a, b, k, c, c_row, rows, columns, accumulate);
}

}  // namespace

const GemmKernels gemm_kernels = {tile_rows, tile_columns, pack_a, pack_b, tile<>};

}  // namespace striate::STRIATE_ISA_NAMESPACE
