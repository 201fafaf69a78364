// The inner parts of direct convolution: rows into a padded buffer, sums in registers, gradients of weights in
// registers.
//
// Output maps are lanes, in pairs of registers; input maps come in blocks whose maps lie side by side in the buffer,
// pixel after pixel. So the taps of one row of a filter, maps and all, are one run of neighbouring floats (or one run
// per tap, where taps are dilated), and a convolution is a list of runs.
#pragma once

#include <cstdint>

#include "conv/strides.h"

namespace striate {

// Rows of blocks of maps into the buffer [blocks][rows, pixels, block], zeros where the image has no pixel.
struct DirectRows {
    const float* image;        // its first map
    const std::int64_t* from;  // where each block of maps begins, seen from there
    Strides strides;
    std::int64_t blocks, maps, last_maps;  // blocks; maps that exist in each, and in the last
    std::int64_t height, width;            // of the image
    std::int64_t top, left;                // the buffer's first pixel, in the image
    std::int64_t rows, pixels;             // of the buffer
    std::int64_t block;                    // maps side by side: `lanes`, or as many as there are, if fewer
    float* to;                             // with room for lanes² floats beyond the last pixel of each block
    std::int64_t step;                     // from one block to the next
};

// One row of output pixels, for one or two registers of output maps.
struct DirectSums {
    const float* x;               // the first tap of the first pixel, in the first block of maps
    std::int64_t pixel;           // floats from one output pixel's taps to the next one's
    std::int64_t blocks, block;   // blocks of input maps; floats from one to the next
    const std::int64_t* runs;     // where each run begins, seen from the first tap
    std::int64_t run_count, run;  // runs in a block; floats in a run
    const float* w;               // [blocks, run_count, run, registers · lanes]
    float* sums;                  // [registers] steps of `sums_step`, each [pixels, lanes]
    std::int64_t sums_step, pixels;
    bool add;  // onto the sums that are there

    // Where results, not sums, are wanted, of maps that lie side by side:
    float* result;                    // none: only `sums` is written
    std::int64_t result_pixel, maps;  // maps that exist
    std::int64_t next_register;       // floats from a register's maps to the next one's
    const float* bias;                // [registers, lanes]
    const float* residual;            // of this row, or none
    bool relu;
    bool past_caches;  // result is large and of whole lines: caches have no use for it
};

// A finished row of one register of output maps.
struct DirectResult {
    const float* sums;  // [pixels, lanes], readable for a register of pixels more
    std::int64_t pixels, maps;
    Strides strides;
    const float* bias;      // [lanes]
    const float* residual;  // of this row, or none
    bool relu;
    float* row;
};

// Gradients of the weights of one run: dw[q] += Σ over pixels of x[pixel + q] · dy[pixel].
struct DirectGradient {
    const float* x;                        // the run's first float at the first pixel
    std::int64_t x_pixel, x_row, x_image;  // floats to the next one's
    const float* dy;                       // [registers] steps of dy_step, each [pixels, lanes] a row
    std::int64_t dy_step, dy_row, dy_image;
    std::int64_t images, rows, pixels;
    float* dw;  // [run, registers · lanes]
    std::int64_t run;
    bool add;
};

struct DirectKernels {
    std::int64_t lanes;
    void (*rows)(const DirectRows&);
    void (*sums[2])(const DirectSums&);  // for one and for two registers of output maps
    void (*result)(const DirectResult&);
    void (*end_results)();  // after the last result past the caches
    void (*gradient[2])(const DirectGradient&);
};

namespace portable {
extern const DirectKernels direct_kernels;
}
namespace avx2 {
extern const DirectKernels direct_kernels;
}
namespace avx512 {
extern const DirectKernels direct_kernels;
}

}  // namespace striate
