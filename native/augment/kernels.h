// The inner loops of warping: rows of one image's output.
#pragma once

#include <cstdint>

#include "augment/warp.h"

namespace striate {

// Fixed point of the weights across: 1 is 2^14, so that a whole weight of 1, which an identity has, fits 16 bits. They
// are not normalised before they are rounded; the sum of the rounded ones divides the result.
constexpr int across_bits = 14;

// Taps along one axis beyond which the vector loops are not taken. 255 · 2^14 · 128 fits 32 bits.
constexpr std::int64_t most_taps = 128;

// How far the filter reaches along one axis of the source.
struct Reach {
    float half;          // source pixels to either side
    float per_pixel;     // of the filter's argument: 1 / scale
    std::int32_t taps;   // pixels of the source that lie within, at most
    std::int32_t pairs;  // of taps that the vector loops take across: for RGB one, or two for every four taps
    float before;        // from a place back to where its first tap begins: half − ½
    float low, high;     // between which the places of an inner block lie: all taps of their windows are in the source
    float two_from;      // distance of a window's first tap from which on the filter reaches no third
};

// One image, its map, and where its pixels go.
struct Scene {
    const std::uint8_t* pixels;  // [height, width, channels]
    std::int64_t height;
    std::int64_t width;
    std::int64_t channels;
    const double* matrix;  // [3, 3]
    bool divides;          // by the third coordinate, which is not 1 everywhere
    bool bends;            // by a lens
    double k1, k2;
    Sampler sampler;
    Border border;
    bool coloured;
    float colour[3][4];  // rows: red, green, blue, one
    float fill[3];
    float scale[3];
    float shift[3];
    std::int64_t out_height;
    std::int64_t out_width;
    bool planar;
    Value value;
    void* out;  // this image's
};

// Where a run of output pixels has its filter's reach.
struct RunReach {
    Reach across, down;
    // Of two taps along both axes (bilinear): what those across sum to in fixed point, and 1 / (that · those down).
    std::int32_t two_sum;
    float two_normal;
};

// Whether the vector loops can do a run: the window of all its pairs lies in the image, and offsets in 32 bits.
bool fits_vectors(const Scene& scene, const RunReach& reach);

constexpr std::int64_t stretches_room = 16;  // a register's

// Promises: no alignment is assumed, nothing outside the image is read and nothing outside the rows is written, nothing
// is allocated.
struct WarpKernels {
    // Row y of the output; runs[⌈out_width / run_pixels⌉], all fit for vectors.
    void (*row)(const Scene& scene, std::int64_t y, const RunReach* runs);
    // across[i] and down[i]: how many source pixels along its axes an output pixel of run i of row y covers, at least
    // 1. There is room for `stretches_room` more than `runs` of each.
    void (*stretches)(const Scene& scene, std::int64_t y, std::int64_t runs, float* across, float* down);
    // runs[count] of those numbers, which have as much room.
    void (*reaches)(const Scene& scene, const float* across, const float* down, std::int64_t count, RunReach* runs);
    // Row y of the output, whatever the runs: pixel by pixel. `weights` has room for width +
    // height floats.
    void (*plain_row)(const Scene& scene, std::int64_t y, const RunReach* runs, float* weights);
    // Rows [first, last) under a map that keeps the axes apart (no lens; the matrix is diagonal but for its last
    // column), with the one reach fit for vectors: across, then down. `workspace` has room for `apart_nbytes`, aligned
    // to 64.
    void (*rows_apart)(const Scene& scene, std::int64_t first, std::int64_t last, const RunReach& reach,
                       std::uint8_t* workspace);
    std::int64_t (*apart_nbytes)(const Scene& scene, const RunReach& reach);
};

namespace portable {
extern const WarpKernels warp_kernels;
}
namespace avx2 {
extern const WarpKernels warp_kernels;
}
namespace avx512 {
extern const WarpKernels warp_kernels;
}
namespace avx512_vbmi {  // AVX-512 as above, and VBMI
extern const WarpKernels warp_kernels;
}

}  // namespace striate
