// What the multiply-add units of one core can do at most.
#pragma once

#include <cstdint>

namespace striate {

struct PeakKernels {
    // `rounds` rounds of multiply-adds of whole registers that do not wait for each other: 24, or 12 of 16 registers.
    // Returns the number of multiply-adds of single floats that this was; *sink keeps them from being optimised away.
    std::int64_t (*multiply_adds)(std::int64_t rounds, float* sink);
};

namespace portable {
extern const PeakKernels peak_kernels;
}
namespace avx2 {
extern const PeakKernels peak_kernels;
}
namespace avx512 {
extern const PeakKernels peak_kernels;
}

}  // namespace striate
