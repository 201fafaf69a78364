// The weights of an antialiased resize along one axis: a filter stretched by the shrink factor, sampled, normalised.
//
// For output pixel i, with s = in / out, the centre lies at (i + 1/2) s in input pixels, and the filter reaches
// support * max(s, 1) to both sides: where the image shrinks the filter widens, which is what antialiases. The weights
// are normalised to sum 1 in double precision, then rounded to fixed point, as Pillow's 8-bit resampling has it; its
// results are reproduced bit for bit.
#pragma once

#include <cstdint>
#include <vector>

namespace striate {

// Box: nearest when enlarging. Bilinear: the triangle. Bicubic: Keys 1981 with a = -1/2. Lanczos: three lobes.
enum class Filter { box, bilinear, bicubic, lanczos };

// Bits behind the point: 32, less 8 for the pixel, less 2 of headroom for filters whose negative lobes overshoot.
constexpr int weight_bits = 32 - 8 - 2;

// The weights of one axis. Output pixel i is the sum over k < count[i] of in[first[i] + k] * weight[i * stride + k];
// weights from count[i] up to stride are 0.
struct Taps {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t stride = 0;
    std::vector<std::int32_t> first;   // [out]
    std::vector<std::int32_t> count;   // [out]
    std::vector<std::int32_t> weight;  // [out, stride], times 2^weight_bits
};

Taps taps_of(Filter filter, std::int64_t in, std::int64_t out);

// A weighted sum of pixels, rounded and clipped to a pixel. The shift of a negative sum rounds down.
inline std::uint8_t pixel_of(std::int32_t sum) {
    const std::int32_t rounded = (sum + (1 << (weight_bits - 1))) >> weight_bits;
    return static_cast<std::uint8_t>(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

}  // namespace striate
