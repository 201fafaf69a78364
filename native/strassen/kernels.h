// The additions between Strassen's products, along one line of each matrix.
#pragma once

#include <cstdint>

namespace striate {

// One line of the quarters of C, and of the first product, on their way to what the last two products complete.
struct StrassenLine {
    const float *p1, *c11;   // A₁₁·B₁₁, and S₄·B₂₂ where C₁₁ will be
    float *c12, *c21, *c22;  // in: S₂·T₂, S₃·T₃, S₁·T₁; out: all of C₁₂, C₂₁ + A₂₂·T₄, all of C₂₂
    std::int64_t count;
};

struct StrassenKernels {
    // to = x + sign · y, sign being 1 or −1; `to` may be x or y.
    void (*combine)(const float* x, const float* y, float sign, float* to, std::int64_t count);
    void (*gather)(const StrassenLine& line);
};

namespace portable {
extern const StrassenKernels strassen_kernels;
}
namespace avx2 {
extern const StrassenKernels strassen_kernels;
}
namespace avx512 {
extern const StrassenKernels strassen_kernels;
}

}  // namespace striate
