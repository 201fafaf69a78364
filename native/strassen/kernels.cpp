// Sums of lines, compiled once per instruction set: as fast as memory is.
#include "strassen/kernels.h"

#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

void combine(const float* x, const float* y, float sign, float* to, std::int64_t count) {
    const Floats factor = all(sign);  // ±1: the product is exact, fused or not
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) store(to + i, multiply_add(load(y + i), factor, load(x + i)));
    if (i < count) {
        const std::int64_t left = count - i;
        store_first(to + i, multiply_add(load_first(y + i, left), factor, load_first(x + i, left)), left);
    }
}

void gather(const StrassenLine& line) {
    for (std::int64_t i = 0; i < line.count; i += lanes) {
        const std::int64_t left = line.count - i < lanes ? line.count - i : lanes;
        const Floats p5 = load_first(line.c22 + i, left);
        const Floats u2 = load_first(line.p1 + i, left) + load_first(line.c12 + i, left);
        const Floats u3 = u2 + load_first(line.c21 + i, left);
        store_first(line.c12 + i, u2 + p5 + load_first(line.c11 + i, left), left);
        store_first(line.c21 + i, u3, left);
        store_first(line.c22 + i, u3 + p5, left);
    }
}

}  // namespace

const StrassenKernels strassen_kernels = {combine, gather};

}  // namespace striate::STRIATE_ISA_NAMESPACE
