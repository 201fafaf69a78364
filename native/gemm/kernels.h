// The inner parts of the matrix product: packing, and one tile of C.
#pragma once

#include <cstdint>

namespace striate {

struct GemmKernels {
    std::int64_t tile_rows, tile_columns;  // of C, held in registers

    // The `rows` × k part of A at `from` (strides in values), rows ≤ tile_rows, into one panel: column by column, each
    // tile_rows long, the rest zero.
    void (*pack_a)(const float* from, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t k,
                   float* panel);
    // The k × `columns` part of B, columns ≤ tile_columns: row by row, each tile_columns long, the rest zero.
    void (*pack_b)(const float* from, std::int64_t row, std::int64_t column, std::int64_t columns, std::int64_t k,
                   float* panel);
    // c[rows, columns] = panel of A · panel of B, added to what is there with `accumulate`. Nothing else is written.
    void (*tile)(const float* a, const float* b, std::int64_t k, float* c, std::int64_t c_row, std::int64_t rows,
                 std::int64_t columns, bool accumulate);
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
