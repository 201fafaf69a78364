#include "peak/peak.h"

#include <atomic>
#include <chrono>

#include "dispatch/kernels.h"
#include "peak/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr float sums_near_two[] = {0.5f, 1.0f};  // the loop's factor and term: whatever the number of rounds

}  // namespace

double peak_flops(Isa isa, int threads, double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr std::int64_t rounds = 1 << 14;  // some 100 µs
    const PeakKernels& kernels = STRIATE_KERNELS_OF(isa, peak_kernels);
    const auto begin = Clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    std::atomic<std::int64_t> total{0};
    parallel_items(threads, threads, [&](std::int64_t, int) {
        do {
            float sink[] = {sums_near_two[0], sums_near_two[1]};
            total += kernels.multiply_adds(rounds, sink);
        } while (elapsed() < seconds);
    });
    return 2.0 * static_cast<double>(total.load()) / elapsed();
}

double multiply_adds(Isa isa, int threads, std::int64_t rounds) {
    const PeakKernels& kernels = STRIATE_KERNELS_OF(isa, peak_kernels);
    std::atomic<std::int64_t> total{0};
    parallel_items(threads, threads, [&](std::int64_t, int) {
        float sink[] = {sums_near_two[0], sums_near_two[1]};
        total += kernels.multiply_adds(rounds, sink);
    });
    return 2.0 * static_cast<double>(total.load());
}

}  // namespace striate
