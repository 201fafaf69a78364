// C = A·B, or C += A·B, for matrices of floats of any size and strides.
//
// In the manner of BLIS (Van Zee and van de Geijn 2015): A and B are copied, a cache's worth at a time, into panels in
// the order in which a microkernel reads them; the microkernel holds a tile of C in registers while it runs along K.
//
//     for each n_block columns of C                B's block lives in the third cache
//       for each k_block of the sum                a panel of B lives in the first cache
//         for each m_block rows of C               A's block lives in the second cache
//           for each panel of B, for each panel of A: one tile, in registers
//
// The order of every sum is fixed by the sizes alone: the same bits for every number of threads.
#pragma once

#include <cstdint>

#include "dispatch/isa.h"

namespace striate {

// Element (i, j) is data[i · row + j · column]; a transpose is the other way round.
struct Matrix {
    const float* data;
    std::int64_t row, column;
};

struct Gemm {
    std::int64_t m, n, k;  // A [m, k], B [k, n], C [m, n]
    Matrix a, b;
    float* c;
    std::int64_t c_row;       // values from one row of C to the next; its columns follow each other
    bool accumulate = false;  // C += A·B
};

// Floats of workspace that `gemm` needs for these sizes. At most some megabytes, whatever they are.
std::int64_t gemm_workspace(std::int64_t m, std::int64_t n, std::int64_t k, Isa isa);

// Allocates nothing. k = 0 gives zeros, or leaves C as it is when accumulating. C must not overlap A, B or workspace.
void gemm(const Gemm& gemm, float* workspace, Isa isa, int threads);

}  // namespace striate
