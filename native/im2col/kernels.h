// The inner parts of convolution as a matrix product: the columns of im2col out of images, and tiles of sums into them.
//
// Im2col makes a matrix of images: a row for each (map, tap), a column for each pixel of the result. Here a few columns
// are written at a time, as the panel of a product or as part of the whole matrix, whatever the layout.
#pragma once

#include <cstdint>

#include "conv/layout.h"

namespace striate {

constexpr std::int64_t most_pixels = 32;  // in one call: the widest panel of any instruction set

// Some neighbouring pixels of the result, and the pixel of the image that tap (0, 0) of each would see without padding.
struct Pixels {
    std::int64_t count;
    std::int64_t y[most_pixels], x[most_pixels];
    std::int64_t at[most_pixels];  // y · row + x · pixel, plus the image's offset
};

// Images, of which some maps are read: map c of them at image + strides.of_map(c).
struct Sight {
    const float* images;
    ImageStrides strides;
    std::int64_t maps, height, width;
};

struct Shift {
    std::int64_t rows, columns;  // from a pixel to what a tap sees; what is outside the image is zero
};

// Pixels of a result that follow each other in memory.
struct Run {
    std::int64_t first, count, at;
};

// A tile of sums on its way to the result.
struct Finished {
    const float* sums;      // rows of tile_columns values
    float* result;          // its first map
    const float* residual;  // laid out as the result, or none
    ImageStrides strides;
    std::int64_t maps;  // that are stored
    const float* bias;  // of each map that is stored, rounded up to whole registers
    bool relu;
    const std::int64_t* at;  // where each pixel lies
    std::int64_t pixels;
    const Run* runs;  // the same pixels, those that follow each other together
    std::int64_t run_count;
};

struct Im2colKernels {
    // to[c · step + t] = pixel t, shifted, of map c.
    void (*pixels_across)(const Sight&, const Pixels&, Shift, float* to, std::int64_t step);
    // to[t · step + c] = pixel t, shifted, of map c. At most 32 maps.
    void (*maps_across)(const Sight&, const Pixels&, Shift, float* to, std::int64_t step);
    // Rows of the tile are pixels, its columns maps.
    void (*finish_pixels)(const Finished&);
    // Rows are maps, columns are pixels; for results whose pixels are neighbours (NCHW).
    void (*finish_maps)(const Finished&);
};

namespace portable {
extern const Im2colKernels im2col_kernels;
}
namespace avx2 {
extern const Im2colKernels im2col_kernels;
}
namespace avx512 {
extern const Im2colKernels im2col_kernels;
}

}  // namespace striate
