// The speed of the matrix product, as a share of the multiply-add peak. Peak and product take turns of some 10 ms, and
// each turn is compared with its neighbours, so that what else the machine does weighs on both.
//
//     striate_gemm_speed M N K [--threads T] [--isa NAME] [--packed a|b|both] [--seconds S] [--levels L]
//
// With levels, Strassen's product and the plain one take turns; the ratio of their times is the median over the turns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "gemm/gemm.h"
#include "memory/arena.h"
#include "peak/peak.h"
#include "strassen/strassen.h"
#include "tests/words.h"

using namespace striate;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Floats64 noise(std::int64_t count) {
    Floats64 values = aligned_floats(count);
    std::uint32_t state = 1;
    for (std::int64_t i = 0; i < count; ++i) {
        state = state * 1664525u + 1013904223u;  // Knuth's linear congruence
        values[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    }
    return values;
}

}  // namespace

int main(int count, char** words) {
    auto [plain, named] = words_of(count, words);
    std::vector<std::int64_t> sides;
    for (const std::string& side : plain) sides.push_back(std::atoll(side.c_str()));
    if (sides.size() != 3) return std::fprintf(stderr, "usage: striate_gemm_speed M N K [--threads T] …\n"), 2;
    const std::int64_t m = sides[0], n = sides[1], k = sides[2];
    const Isa isa = named.count("isa") ? isa_named(named["isa"], "--isa") : available_isas().back();
    const int threads = named.count("threads") ? std::atoi(named["threads"].c_str()) : 1;
    const double seconds = named.count("seconds") ? std::atof(named["seconds"].c_str()) : 1.0;
    const std::string packed = named["packed"];
    const Floats64 a = noise(m * k), b = noise(k * n), c = aligned_floats(m * n);
    const Floats64 workspace = aligned_floats(gemm_workspace(m, n, k, isa, threads));
    Gemm g{.m = m, .n = n, .k = k, .a = {a.get(), k, 1}, .b = {b.get(), n, 1}, .c = c.get(), .c_row = n};
    Floats64 packed_a, packed_b;
    if (packed == "a" || packed == "both") {
        packed_a = aligned_floats(gemm_packed_a_floats(m, k, isa));
        gemm_pack_a(g.a, m, k, packed_a.get(), isa, threads);
        g.packed_a = packed_a.get();
    }
    if (packed == "b" || packed == "both") {
        packed_b = aligned_floats(gemm_packed_b_floats(n, k, isa));
        gemm_pack_b(g.b, n, k, packed_b.get(), isa, threads);
        g.packed_b = packed_b.get();
    }
    if (const int levels = named.count("levels") ? std::atoi(named["levels"].c_str()) : 0; levels > 0) {
        const Floats64 space = aligned_floats(strassen_workspace(m, n, k, levels, isa, threads));
        const auto timed = [&](bool fast) {
            const double start = now();
            fast ? strassen(g, levels, space.get(), isa, threads) : gemm(g, workspace.get(), isa, threads);
            return now() - start;
        };
        timed(true), timed(false);
        std::vector<double> ratios, plain, seven;
        for (const double begin = now(); ratios.size() < 3 || now() - begin < seconds;) {
            plain.push_back(timed(false)), seven.push_back(timed(true));
            ratios.push_back(plain.back() / seven.back());
        }
        std::sort(ratios.begin(), ratios.end()), std::sort(plain.begin(), plain.end()),
            std::sort(seven.begin(), seven.end());
        std::printf(
            "%ld x %ld x %ld %s, %d threads, %d levels: plain %.1f ms, Strassen %.1f ms (smallest); plain / Strassen "
            "%.3f (quartiles %.3f, %.3f), n = %zu\n",
            static_cast<long>(m), static_cast<long>(n), static_cast<long>(k), name(isa), threads, levels,
            1e3 * plain[0], 1e3 * seven[0], ratios[ratios.size() / 2], ratios[ratios.size() / 4],
            ratios[ratios.size() * 3 / 4], ratios.size());
        return 0;
    }
    const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    gemm(g, workspace.get(), isa, threads);
    std::vector<double> times, shares;
    double best_peak = 0, before = peak_flops(isa, threads, 0.01);
    for (const double begin = now(); shares.size() < 5 || now() - begin < seconds;) {
        const std::size_t first = times.size();
        for (const double start = now(); times.size() == first || now() - start < 0.02;) {
            const double run = now();
            gemm(g, workspace.get(), isa, threads);
            times.push_back(now() - run);
        }
        const double after = peak_flops(isa, threads, 0.01);
        std::vector<double> group(times.begin() + static_cast<std::ptrdiff_t>(first), times.end());
        std::sort(group.begin(), group.end());
        shares.push_back(flops / group[group.size() / 2] / (0.5 * (before + after)));
        best_peak = std::max({best_peak, before, after});
        before = after;
    }
    std::sort(shares.begin(), shares.end());
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    std::printf(
        "%ld x %ld x %ld %s, %d threads%s%s: median %.3f ms, smallest %.3f ms; %.0f GFLOP/s at the median, %.0f at the "
        "smallest; of the peak beside it %.3f (quartiles %.3f, %.3f), of the best peak of %.0f GFLOP/s %.3f\n",
        static_cast<long>(m), static_cast<long>(n), static_cast<long>(k), name(isa), threads,
        packed.empty() ? "" : ", packed ", packed.c_str(), 1e3 * median, 1e3 * times[0], 1e-9 * flops / median,
        1e-9 * flops / times[0], shares[shares.size() / 2], shares[shares.size() / 4], shares[shares.size() * 3 / 4],
        1e-9 * best_peak, flops / times[0] / best_peak);
    return 0;
}
