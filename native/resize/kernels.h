// The inner loops of resizing: four rows along the width, or one row along the height.
#pragma once

#include <cstdint>

#include "resize/filter.h"

namespace striate {

constexpr std::int64_t rows_at_once = 4;  // along the width: they share the weights

// Bytes of a row, counted from its start, that `across` may read. What lies behind the row is multiplied by 0.
inline std::int64_t readable_nbytes(const TapsView& taps, std::int64_t channels) {
    const std::int64_t last = taps.first[taps.out - 1];   // windows move to the right
    return (last + taps.groups * group) * channels + 16;  // a register's worth for the last group
}

// Promises: no alignment is assumed, nothing is allocated, nothing is written outside the rows given.
struct ResizeKernels {
    // rows[r][in, channels] to out[r][out, channels]. Rows may be given twice (for the last ones of an image).
    // Reads up to `readable_nbytes` of each.
    void (*across)(const TapsView& taps, const std::uint8_t* const rows[rows_at_once], std::int64_t channels,
                   std::uint8_t* const out[rows_at_once]);
    // Row y of the output, `values` bytes, from in[taps.in, values]. Reads nothing else.
    void (*down)(const TapsView& taps, std::int64_t y, const std::uint8_t* in, std::int64_t values, std::uint8_t* out);
};

namespace portable {
extern const ResizeKernels resize_kernels;
}
namespace avx2 {
extern const ResizeKernels resize_kernels;
}
namespace avx512 {
extern const ResizeKernels resize_kernels;
}

}  // namespace striate
