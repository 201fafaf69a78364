// One resampling of a batch of 8-bit images under any map, with one colour matrix, to the tensor a net reads.
//
//     out[b, c, i, j] = clip(colour[b] · (Σ weights · pixels of images[b] around the place (j + ½, i + ½) comes from))
//                       · scale[c] + shift[c]
//
// docs/design/augment.md has the definition; native/ref/warp.cpp is it in code.
#pragma once

#include <cstdint>

#include "convert/batch.h"
#include "dispatch/isa.h"

namespace striate {

// Nearest: the pixel in whose square the place lies, whatever the scale. Bilinear: the triangle. Bicubic: Keys 1981
// with a = −½.
enum class Sampler { nearest, bilinear, bicubic };

// What stands outside the source: a colour, the nearest of its pixels, or its mirror image.
enum class Border { constant, edge, reflect };

enum class Value { float32, bfloat16, uint8 };

// Output pixels of one row that share the filter's scale, that of their middle.
constexpr std::int64_t run_pixels = 16;

// What one call reads and writes, and how. Nothing here is owned.
struct Warp {
    std::int64_t size;
    std::int64_t channels;  // 1 or 3
    std::int64_t height;
    std::int64_t width;
    PixelLayout layout;
    Value value;
    Sampler sampler;
    bool antialias;
    Border border;
    const double* geometry;  // [size, 3, 3]: output (x, y, 1) to source, homogeneous; none that `refusal` refuses
    const double* lens;      // [size, 2]: k1, k2; or null
    const float* colour;     // [size, channels, channels + 1], or null
    const float* scale;      // [channels]
    const float* shift;      // [channels]
    const float* fill;       // [channels], 0 to 255
    void* out;               // size * channels * height * width values, every one is written
    bool by_lines = true;    // permutes lines of the source where the processor can (AVX512_VBMI); tests try without

    std::int64_t image_values() const { return height * width * channels; }
};

// images[size], none of them empty. The same bits for every number of threads. Throws std::bad_alloc.
void warp(const Warp& call, const Image* images, Isa isa, int threads);

}  // namespace striate
