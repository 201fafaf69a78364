// The speed of one algorithm in bfloat16 on one square layer, for whoever works on a kernel.
//
//     striate_bfloat16_speed ALGORITHM N C H K KERNEL [--stride S] [--pass forward|data] [--layout channels_last|nchw]
//                            [--threads T] [--unit NAME] [--seconds S]
//
// Prints the median and the smallest time of a run, effective GFLOP/s, and the time that packing the weights takes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "bfloat16/plan.h"
#include "memory/arena.h"
#include "tests/words.h"

using namespace striate;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Floats64 noise(std::int64_t count) {
    Floats64 values = aligned_floats(count / 2 + 1);
    auto* const numbers = reinterpret_cast<Bfloat16*>(values.get());
    std::mt19937 engine(1);
    for (std::int64_t i = 0; i < count; ++i)
        put_float(static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f, numbers + i);
    return values;
}

}  // namespace

int main(int count, char** words) {
    auto [plain, named] = words_of(count, words);
    const BfloatAlgorithm* algorithm = plain.size() == 6 ? bfloat_algorithm<Bfloat16>(plain[0]) : nullptr;
    if (algorithm == nullptr) {
        std::fprintf(stderr, "usage: striate_bfloat16_speed ALGORITHM N C H K KERNEL …; algorithms:");
        for (const BfloatAlgorithm* each : bfloat_algorithms<Bfloat16>()) std::fprintf(stderr, " %s", each->name);
        std::fprintf(stderr, "\n");
        return 2;
    }
    const auto sizes = [&](std::size_t i) { return static_cast<std::int64_t>(std::atoll(plain[i].c_str())); };
    const auto number = [&](const char* key, int otherwise) {
        return named.count(key) ? std::atoi(named[key].c_str()) : otherwise;
    };
    const Axis axis{
        .size = sizes(3), .kernel = sizes(5), .stride = number("stride", 1), .low = sizes(5) / 2, .high = sizes(5) / 2};
    const ConvShape shape{.batch = sizes(1), .in = sizes(2), .out = sizes(4), .rows = axis, .columns = axis};
    BfloatOptions options;
    options.from = options.to = named["layout"] == "nchw" ? Layout::nchw : Layout::channels_last;
    options.threads = number("threads", 1);
    options.unit =
        named.count("unit") ? bfloat_unit_named(named["unit"], "--unit") : bfloat_units(available_isas().back()).back();
    const Pass pass = named["pass"] == "data" ? Pass::backward_data : Pass::forward;
    const std::string why = bfloat_refusal(*algorithm, pass, shape, options.from, options.to);
    if (!why.empty()) return std::fprintf(stderr, "%s: %s\n", algorithm->name, why.c_str()), 1;
    const auto plan = plan_bfloat(*algorithm, pass, shape, options);
    const Floats64 x = noise(shape.batch * shape.in * shape.in_pixels());
    const Floats64 y = noise(shape.batch * shape.out * shape.out_pixels());
    const std::int64_t weights = shape.out * shape.in * shape.taps();
    const Floats64 w = aligned_floats(weights);
    std::fill_n(w.get(), weights, 0.5f);
    const Floats64 packed = aligned_floats(plan->packed_bytes() / 4 + 1);
    const Floats64 workspace = aligned_floats(plan->workspace_bytes() / 4 + 1);
    plan->pack(filters_of(shape, w.get()), packed.get());
    double begin = now();
    plan->pack(filters_of(shape, w.get()), packed.get());
    const double pack_seconds = now() - begin;
    const auto* const from = reinterpret_cast<const Bfloat16*>(pass == Pass::forward ? x.get() : y.get());
    auto* const to = reinterpret_cast<Bfloat16*>(pass == Pass::forward ? y.get() : x.get());
    const double seconds = named.count("seconds") ? std::atof(named["seconds"].c_str()) : 1.0;
    plan->run(from, packed.get(), {}, to, workspace.get());
    std::vector<double> times;
    begin = now();
    while (times.size() < 5 || now() - begin < seconds) {
        const double start = now();
        plan->run(from, packed.get(), {}, to, workspace.get());
        times.push_back(now() - start);
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2], flops = 2.0 * static_cast<double>(shape.macs());
    std::printf(
        "%s %s, %d threads: median %.3f ms, smallest %.3f ms; %.0f GFLOP/s (%.0f at the smallest); packing %.3f ms; "
        "workspace %.1f MB\n",
        algorithm->name, name(options.unit), options.threads, 1e3 * median, 1e3 * times[0], 1e-9 * flops / median,
        1e-9 * flops / times[0], 1e3 * pack_seconds, 1e-6 * static_cast<double>(plan->workspace_bytes()));
    return 0;
}
