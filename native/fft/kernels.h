// The inner parts of convolution by Fourier transforms: tiles in, products per frequency, tiles out.
//
// Maps come in blocks of `lanes`, one lane a map. A tile of R rows of C pixels goes through two buffers:
//
//     half        [R, C / 2, 2, lanes]        its rows transformed. Real rows have the second half of their frequencies
//                                             from the first; frequencies 0 and C/2 are real, and share the first place
//     components  [R · C / 2 + 2, 2, lanes]   its columns transformed too; `component` floats from one to the next
//
// Each number is a register of real parts and one of imaginary parts.
//
// Components are numbered: row frequencies 0 … R/2 of column frequency 0, then of C/2, then 0 … R−1 of 1, 2, … C/2 − 1.
// Rows are transformed as pairs, the second as the imaginary part of the first, and come out doubled.
#pragma once

#include <cstdint>

#include "conv/strides.h"
#include "fft/sizes.h"

namespace striate {

constexpr std::int64_t fft_components(std::int64_t rows, std::int64_t columns) { return rows * columns / 2 + 2; }

// A window of an image, or of filters, one block of maps.
struct FftInput {
    const float* image;  // its first map
    Strides strides;
    std::int64_t maps;                               // that exist, ≤ lanes; the other lanes get zeros
    std::int64_t height, width;                      // of the image
    std::int64_t top, left;                          // of the tile; pixels outside the image are zero
    std::int64_t rows, columns;                      // of the tile that are read; the rest is zero
    std::int64_t row_spread = 1, column_spread = 1;  // the tile's rows from one row that is read to the next: dilation
    bool mirrored = false;                           // each row from its last pixel to its first; of filters alone
    std::int64_t size;                               // R
    float* half;
    float* scratch;  // fft_scratch(lanes)
};

struct FftOutput {
    const float* half;
    float* image;           // where the tile's first pixel goes
    const float* residual;  // added, if any; laid out as the image
    Strides strides;
    std::int64_t maps;
    std::int64_t rows, columns;                      // that are written
    std::int64_t row_spread = 1, column_spread = 1;  // as in FftInput
    const float* bias;                               // [lanes]
    bool relu;
    float* scratch;
};

constexpr std::int64_t fft_scratch(std::int64_t lanes) { return 4 * (fft_largest + lanes) * lanes; }

// `rows` ≤ tile_rows rows of one complex product: for row r,
//     out[r] = Σ over blocks and their terms of (v[r].re, v[r].im) · (u.re, u.im), or out[r] + that
// where u is [terms, 2, lanes], and the term i of row r of block b is v[b · v_block + r · v_row + i · v_term], its
// imaginary part `lanes` floats further.
struct FftProduct {
    const float* v;
    std::int64_t v_block, v_row, v_term;
    const float* u;
    std::int64_t terms, block_terms;  // in all; in each block but the last
    float* out;                       // [rows, 2, lanes]
    std::int64_t out_row;
    std::int64_t rows;
    bool more;  // add to what is there
};

// Lane by lane, for `terms` tiles: out[t] = v[t] · u, or out = Σ_t v[t] · u[t], or out + that.
// All numbers are [2, lanes], those of tiles one after another.
struct FftLanewise {
    const float *v, *u;
    float* out;
    std::int64_t terms;
    bool more;  // of a sum: add to what is there
};

struct FftKernels {
    std::int64_t lanes;
    std::int64_t tile_rows;  // rows of a product whose sums fit the registers

    // By the place of C in fft_sizes.
    void (*rows_in[fft_size_count])(const FftInput&);
    void (*rows_out[fft_size_count])(const FftOutput&);
    // By the place of R. The second stores the conjugates, times `scale`.
    void (*columns_in[fft_size_count])(const float* half, std::int64_t columns, float* components,
                                       std::int64_t component);
    void (*columns_in_conjugate[fft_size_count])(const float* half, std::int64_t columns, float* components,
                                                 std::int64_t component, float scale);
    void (*columns_out[fft_size_count])(const float* components, std::int64_t component, std::int64_t columns,
                                        float* half);
    void (*multiply)(const FftProduct&);
    void (*multiply_lanes)(const FftLanewise&);
    void (*sum_lanes)(const FftLanewise&);
};

namespace portable {
extern const FftKernels fft_kernels;
}
namespace avx2 {
extern const FftKernels fft_kernels;
}
namespace avx512 {
extern const FftKernels fft_kernels;
}

}  // namespace striate
