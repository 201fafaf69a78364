// The inner loops of batch conversion: a run of neighbouring pixels, bytes in, floats out.
#pragma once

#include <cstdint>

#include "convert/batch.h"

namespace striate {

// What a run needs to know of its batch, laid out once per batch for the kernels. Values come in threes of 16: a block
// of 16 RGB pixels is 48 values, and the k-th 16 of them are one plane (planar) or a third of the block (interleaved).
struct Affine {
    alignas(64) float scale16[3][16];
    alignas(64) float shift16[3][16];
    std::int64_t channels;
    const float* scale;        // [channels]
    const float* shift;        // [channels]
    const std::uint8_t* fill;  // [channels]
    bool planar;
    std::int64_t plane;  // values from one plane of `out` to the next (planar)
};

// Promises of both: no alignment is assumed, nothing outside the run is read or written, nothing is allocated.
struct ConvertKernels {
    // `count` pixels from `pixels` on, in reverse if `mirrored`, to the `count` output pixels from `out` on (the
    // first output pixel of the first plane).
    void (*run)(const Affine& affine, const std::uint8_t* pixels, std::int64_t count, bool mirrored, float* out);
    // `count` output pixels of the fill colour.
    void (*fill)(const Affine& affine, std::int64_t count, float* out);
};

namespace portable {
extern const ConvertKernels convert_kernels;
}
namespace avx2 {
extern const ConvertKernels convert_kernels;
}
namespace avx512 {
extern const ConvertKernels convert_kernels;
}

}  // namespace striate
