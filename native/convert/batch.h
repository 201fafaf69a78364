// From a batch of 8-bit images to the tensor a net reads: window, mirror, scale, shift, in one pass.
//
//     out[b, c, y, x] = pixel(b, top + y, left + (flip ? w - 1 - x : x), c) * scale[c] + shift[c]
//
// in single precision, rounded after the product and after the sum. `pixel` is fill[c] outside the image.
#pragma once

#include <cstdint>

#include "dispatch/isa.h"

namespace striate {

struct Image {
    const std::uint8_t* pixels;  // [height, width, channels], contiguous
    std::int64_t height;
    std::int64_t width;
};

struct Window {
    std::int32_t top;  // of the window's first row and column in the image; may be negative or beyond it
    std::int32_t left;
    std::int32_t flip;  // not 0: the window is mirrored left to right
};

enum class PixelLayout {
    planar,       // NCHW: [batch, channels, height, width]
    interleaved,  // channels last: [batch, height, width, channels]
};

// What one call writes, and how. Nothing here is owned.
struct Batch {
    std::int64_t size;
    std::int64_t channels;
    std::int64_t height;
    std::int64_t width;
    PixelLayout layout;
    const std::uint8_t* fill;  // [channels]
    const float* scale;        // [channels]
    const float* shift;        // [channels]
    float* out;                // size * channels * height * width values, every one is written

    std::int64_t row_values() const { return width * channels; }
    std::int64_t image_values() const { return height * width * channels; }
};

// images[size], windows[size]. Allocates nothing; the same bits for every `isa` and every number of threads.
void convert(const Batch& batch, const Image* images, const Window* windows, Isa isa, int threads);

}  // namespace striate
