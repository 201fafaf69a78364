// The loop that gives "peak": registers alone, no memory, compiled once per instruction set.
//
// Two units with a latency of four cycles need eight sums side by side; 12 (of 16 registers) and 24 (of 32) are enough.
#include "peak/kernels.h"

#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr int sums = registers / 4 * 3;

std::int64_t multiply_adds(std::int64_t rounds, float* sink) {
    Floats sum[sums];
#pragma GCC unroll 24
    for (int i = 0; i < sums; ++i) sum[i] = all(static_cast<float>(i));
    const Floats factor = all(sink[0]), term = all(sink[1]);
    for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
        for (int i = 0; i < sums; ++i) sum[i] = multiply_add(sum[i], factor, term);
    }
    Floats total = zeros();
#pragma GCC unroll 24
    for (int i = 0; i < sums; ++i) total = total + sum[i];
    store_first(sink, total, 1);
    return rounds * sums * lanes;
}

}  // namespace

const PeakKernels peak_kernels = {multiply_adds};

}  // namespace striate::STRIATE_ISA_NAMESPACE
