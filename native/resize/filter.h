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

// Weights are also kept as two 16-bit halves, weight = high * 2^half_bits + low with 0 <= low < 2^half_bits, because
// processors multiply 16-bit numbers twice as fast and add them in pairs. The sum of the halves' sums is the whole's,
// exactly: nothing is lost. The halves hold weights below 32 in size; normalised filters stay below 4, at edges too.
constexpr int half_bits = 12;
constexpr std::int64_t group = 4;  // taps that the kernels take at once

// The weights of one axis, as the kernels see them. Output pixel i is the sum over k < count[i] of
// in[first[i] + k] * weight[i * stride + k]; weights from count[i] up to stride are 0, and so are the halves.
struct TapsView {
    std::int64_t in;
    std::int64_t out;
    std::int64_t stride;
    std::int64_t groups;         // that cover the largest count
    const std::int32_t* first;   // [out]
    const std::int32_t* count;   // [out]
    const std::int32_t* weight;  // [out, stride], times 2^weight_bits
    const std::int16_t* halves;  // [out, groups, (high, low), group]
};

// The same with its memory.
struct Taps {
    std::int64_t in = 0;
    std::int64_t out = 0;
    std::int64_t stride = 0;
    std::int64_t groups = 0;
    std::vector<std::int32_t> first;
    std::vector<std::int32_t> count;
    std::vector<std::int32_t> weight;
    std::vector<std::int16_t> halves;

    TapsView view() const {
        return {in, out, stride, groups, first.data(), count.data(), weight.data(), halves.data()};
    }
};

Taps taps_of(Filter filter, std::int64_t in, std::int64_t out);

}  // namespace striate
