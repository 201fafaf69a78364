#include "peak/peak.h"

#include <atomic>
#include <chrono>

#include "dispatch/kernels.h"
#include "peak/kernels.h"
#include "threads/phases.h"

namespace striate {

double peak_flops(Isa isa, int threads, double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr std::int64_t rounds = 1 << 14;  // some 100 µs
    const PeakKernels& kernels = STRIATE_KERNELS_OF(isa, peak_kernels);
    const auto begin = Clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    std::atomic<std::int64_t> total{0};
    parallel_items(threads, threads, [&](std::int64_t, int) {
        float sink[2] = {0.5f, 1.0f};  // sums that stay near 2, whatever their number
        do {
            sink[0] = 0.5f;
            total += kernels.multiply_adds(rounds, sink);
        } while (elapsed() < seconds);
    });
    return 2.0 * static_cast<double>(total.load()) / elapsed();
}

}  // namespace striate
