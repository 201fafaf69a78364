// The inner parts of the matrix product: packing, and tiles of C.
#pragma once

#include <cstdint>

namespace striate {

// One tile of C, of at most tile_rows × tile_columns: the product of two panels, and what is done to it on its way out.
// Or several of as many rows, one below the other: a call for each costs as much as 16 steps of the sum.
struct GemmTiles {
    const float* a;  // panel of A: for every k, tile_rows values
    const float* b;  // row k of B's panel begins at b[k · b_step]
    std::int64_t b_step;
    std::int64_t k;
    float* c;  // value (i, j) is c[i · c_row + j], from the second register of columns on c[i · c_row + c_high + j −
               // lanes]
    std::int64_t c_row, c_high;
    std::int64_t rows, columns;
    bool accumulate;           // added to what is there
    bool past_caches = false;  // C is large, and nothing is added to it: its whole lines have no use for the caches

    // Then, with `finish`: + row_bias[i] + column_bias[j] + residual[where C's value lies], each if there is one; ReLU.
    bool finish;
    const float *row_bias, *column_bias, *residual;
    bool relu;

    // With a_row, A is read where it lies, and need not be packed: value (i, p) is a[i · a_row + p / 16 · a_block + p %
    // 16].
    std::int64_t a_row = 0, a_block = 16;

    std::int64_t count = 1, a_step = 0;  // tiles; values from one's A to the next one's
};

struct GemmKernels {
    std::int64_t lanes;
    std::int64_t tile_rows, tile_columns;  // of C, held in registers; tile_columns = 2 · lanes

    // The `rows` × k part of A at `from` (strides in values), rows ≤ tile_rows, into one panel: column by column, each
    // tile_rows long, the rest zero.
    void (*pack_a)(const float* from, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t k,
                   float* panel);
    // The k × `columns` part of B, columns ≤ tile_columns: row by row, each tile_columns long, the rest zero.
    void (*pack_b)(const float* from, std::int64_t row, std::int64_t column, std::int64_t columns, std::int64_t k,
                   float* panel);
    // Nothing but the tiles' rows and columns is written.
    void (*tiles)(const GemmTiles& tiles);
    void (*settle)();  // for other threads to see what went past the caches
};

namespace portable {
extern const GemmKernels gemm_kernels;
}
namespace avx2 {
extern const GemmKernels gemm_kernels;
}
namespace avx512 {
extern const GemmKernels gemm_kernels;
}

}  // namespace striate
