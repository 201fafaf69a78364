// C = A·B, or C += A·B, for matrices of floats of any size and strides, finished with bias, residual and ReLU.
//
// In the manner of BLIS (Van Zee and van de Geijn 2015): A and B are copied, a cache's worth at a time, into panels in
// the order in which a microkernel reads them; the microkernel holds a tile of C in registers while it runs along K.
// Weights that are used often are packed once; what is no matrix in memory, as the windows of a convolution, is written
// into panels by whoever knows it, and never exists as a whole.
//
// The order of every sum is fixed by the sizes alone: the same bits for every number of threads, however A and B come.
#pragma once

#include <cstdint>
#include <limits>

#include "dispatch/isa.h"

namespace striate {

// Element (i, j) is data[i · row + j · column]; a transpose is the other way round.
struct Matrix {
    const float* data = nullptr;
    std::int64_t row = 0, column = 0;
};

// An operand that is written into panels as it is needed, by several threads at once.
struct PanelSource {
    // Of A: rows [first, first + count), count ≤ gemm_tile(isa).rows; of B: columns, count ≤ gemm_tile(isa).columns.
    // For every k in [k, k + k_count), `count` values and then zeros up to the tile's rows (columns), one after
    // another.
    void (*pack)(const void* context, std::int64_t k, std::int64_t k_count, std::int64_t first, std::int64_t count,
                 float* panel) = nullptr;
    const void* context = nullptr;
};

// Rows or columns of C that lie apart in runs: number i is in run i / length, which begins `jump` values after the one
// before. So C can be a batch of images, and its columns the blocks of 16 maps of the blocked layout.
struct Runs {
    std::int64_t length = std::numeric_limits<std::int64_t>::max(), jump = 0;
};

// Added when the last block of the sum is stored: relu(sum + row_bias + column_bias + residual), with what there is.
struct GemmEpilogue {
    const float* row_bias = nullptr;     // [m]
    const float* column_bias = nullptr;  // [n]
    const float* residual = nullptr;     // laid out as C
    bool relu = false;
};

struct Gemm {
    std::int64_t m, n, k;  // A [m, k], B [k, n], C [m, n]
    Matrix a, b;
    float* c;
    std::int64_t c_row;       // values from one row of C to the next of its run; columns of a run follow each other
    bool accumulate = false;  // C += A·B
    Runs c_rows{}, c_columns{};
    GemmEpilogue epilogue{};

    // Instead of a or b, if set.
    const float *packed_a = nullptr, *packed_b = nullptr;  // from gemm_pack_a, gemm_pack_b for these sizes and this isa
    PanelSource a_panels{}, b_panels{};
};

// The panels' widths.
struct GemmTileSize {
    std::int64_t rows, columns;
};
GemmTileSize gemm_tile(Isa isa);

// An operand in its panels, whole: floats, and the packing of it.
std::int64_t gemm_packed_a_floats(std::int64_t m, std::int64_t k, Isa isa);
std::int64_t gemm_packed_b_floats(std::int64_t n, std::int64_t k, Isa isa);
void gemm_pack_a(const Matrix& a, std::int64_t m, std::int64_t k, float* packed, Isa isa, int threads);
void gemm_pack_b(const Matrix& b, std::int64_t n, std::int64_t k, float* packed, Isa isa, int threads);

// Floats of workspace that `gemm` needs for these sizes, however A and B come. Some megabytes and a thread's second
// cache for each thread at most, whatever the sizes.
std::int64_t gemm_workspace(std::int64_t m, std::int64_t n, std::int64_t k, Isa isa, int threads);

// Allocates nothing. k = 0 gives the epilogue of zeros (or of C as it is, when accumulating). C must not overlap
// anything else but a residual that is C itself. Workspace and packed operands are best aligned to 64 bytes.
void gemm(const Gemm& gemm, float* workspace, Isa isa, int threads);

}  // namespace striate
