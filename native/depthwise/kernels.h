// The inner parts of depthwise convolution, in two forms: planes, whose lanes are pixels, and maps, whose lanes are
// maps.
#pragma once

#include <cstdint>

#include "conv/strides.h"

namespace striate {

// Rows of one map into the buffer: zeros where the image has no pixel, and for stride S each row as S rows, of the
// pixels ≡ 0, 1 … S − 1, so that the taps of neighbouring results are neighbours.
struct PlaneRows {
    const float* image;
    std::int64_t row, pixel;     // strides of the image
    std::int64_t height, width;  // of the image
    std::int64_t top, left;      // the buffer's first pixel, in the image
    std::int64_t rows;           // of the buffer
    std::int64_t stride, line;   // each row of the buffer is `stride` lines
    float* to;
};

// Taps of a plane: tap t of result pixel x of the first row reads plane[at[t] + x].
struct PlaneTaps {
    const std::int64_t* at;
    std::int64_t count;
};

// One row of results of one map: sums over `planes` planes.
struct PlaneSums {
    const float* plane;
    std::int64_t planes, step;  // floats from one plane to the next
    PlaneTaps taps;
    const float* w;  // [planes, taps]
    std::int64_t pixels;
    float bias;
    const float* residual;  // of this row, or none
    bool relu;
    float* result;
    std::int64_t pixel;  // from one result to the next
    float* scratch;      // [pixels + lanes], where results do not follow each other
};

// dw[t] += Σ over rows and pixels of plane[at[t] + row · plane_row + x] · dy[row · dy_row + x].
struct PlaneGradient {
    const float* plane;
    std::int64_t plane_row;
    PlaneTaps taps;
    const float* dy;  // zeros from `pixels` to the next whole register
    std::int64_t dy_row, rows, pixels;
    float* dw;
};

// One or two rows of results of all maps, lying side by side.
struct MapRows {
    const float* image;          // pixel (0, 0)
    std::int64_t row, pixel;     // strides of the image
    std::int64_t height, width;  // of the image
    std::int64_t kernel_rows, kernel_columns, dilation_rows, dilation_columns, row_stride, stride;
    std::int64_t top, left;  // of the first result's first tap
    std::int64_t rows, pixels, maps;
    const float* w;         // [blocks, taps, lanes]
    const float* bias;      // [maps], or none
    const float* residual;  // of the first row, or none
    bool relu;
    float* result;
    std::int64_t result_row, result_pixel;
    const float* zeros;  // [maps + lanes]
    bool past_caches;    // result is large and of whole lines: caches have no use for it
};

struct DepthwiseKernels {
    std::int64_t lanes;
    void (*plane_rows)(const PlaneRows&);
    void (*plane_sums)(const PlaneSums&);
    void (*plane_gradient)(const PlaneGradient&);
    void (*map_rows)(const MapRows&);
    void (*end_results)();  // after the last result past the caches
};

namespace portable {
extern const DepthwiseKernels depthwise_kernels;
}
namespace avx2 {
extern const DepthwiseKernels depthwise_kernels;
}
namespace avx512 {
extern const DepthwiseKernels depthwise_kernels;
}

}  // namespace striate
