// The speed of one algorithm on one shape, for whoever works on a kernel. Comparisons with peers are `striate bench
// conv`.
//
//     striate_speed ALGORITHM N C H W K KERNEL [--stride S] [--padding P] [--groups G] [--pass forward|data|weights]
//                   [--layout nchw|channels_last|blocked] [--threads T] [--isa NAME] [--seconds S]
//                   [--rival MB]
//
// KERNEL is the taps of both axes, or ROWSxCOLUMNS; padding is half of an axis' taps unless it is given.
//
// With --rival, so many megabytes of other memory are read before each run, as other layers of a net would: weights
// that fit the last cache come from beyond it then. Prints the median and the smallest time of a run, effective GFLOP/s
// (operations of the direct sum / time), and its share of the multiply-add peak measured just before; and the time that
// packing the weights takes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "conv/plan.h"
#include "memory/arena.h"
#include "peak/peak.h"
#include "tests/words.h"

using namespace striate;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double processor_time() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Floats64 noise(std::int64_t count) {
    Floats64 values = aligned_floats(count);
    std::mt19937 engine(1);
    for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f;
    return values;
}

}  // namespace

int main(int count, char** words) {
    auto [plain, named] = words_of(count, words);
    const auto number = [&](const std::string& key, std::int64_t otherwise) {
        return named.count(key) ? static_cast<std::int64_t>(std::atoll(named[key].c_str())) : otherwise;
    };
    const ConvAlgorithm* algorithm = plain.size() == 7 ? conv_algorithm(plain[0]) : nullptr;
    if (algorithm == nullptr) {
        std::fprintf(stderr, "usage: striate_speed ALGORITHM N C H W K KERNEL [--stride S] … ; algorithms:");
        for (const ConvAlgorithm* each : conv_algorithms()) std::fprintf(stderr, " %s", each->name);
        std::fprintf(stderr, "\n");
        return 2;
    }
    const auto sizes = [&](std::size_t i) { return static_cast<std::int64_t>(std::atoll(plain[i].c_str())); };
    const std::int64_t stride = number("stride", 1);
    ConvShape shape{
        .batch = sizes(1), .in = sizes(2), .out = sizes(5), .groups = number("groups", 1), .rows = {}, .columns = {}};
    const auto axis = [&](std::int64_t size, std::int64_t kernel) {
        const std::int64_t padding = number("padding", kernel / 2);
        return Axis{.size = size, .kernel = kernel, .stride = stride, .low = padding, .high = padding};
    };
    const std::size_t by = plain[6].find('x');  // 3, or 1x7
    shape.rows = axis(sizes(3), sizes(6));
    shape.columns = axis(sizes(4), by == std::string::npos ? sizes(6) : std::atoll(plain[6].substr(by + 1).c_str()));
    ConvOptions options;
    options.isa = named.count("isa") ? isa_named(named["isa"], "--isa") : available_isas().back();
    options.threads = static_cast<int>(number("threads", 1));
    const std::string layout = named.count("layout") ? named["layout"] : "nchw";
    options.from = options.to = layout == "blocked"         ? Layout::blocked
                                : layout == "channels_last" ? Layout::channels_last
                                                            : Layout::nchw;
    const std::string wanted = named.count("pass") ? named["pass"] : "forward";
    const Pass pass = wanted == "weights" ? Pass::backward_weights
                      : wanted == "data"  ? Pass::backward_data
                                          : Pass::forward;
    const std::string why = refusal(*algorithm, pass, shape, options);
    if (!why.empty()) return std::fprintf(stderr, "%s: %s\n", algorithm->name, why.c_str()), 1;

    const Floats64 x = noise(shape.batch * stored_maps(options.from, shape.in) * shape.in_pixels());
    const Floats64 y = noise(shape.batch * stored_maps(options.to, shape.out) * shape.out_pixels());
    const Floats64 w = noise(shape.out * shape.group_in() * shape.taps());
    double pack_seconds = 0;
    std::unique_ptr<ImagePlan> images;
    std::unique_ptr<FilterPlan> filters;
    Floats64 packed, workspace;
    if (pass == Pass::backward_weights) {
        filters = plan_filters(*algorithm, shape, options);
        workspace = aligned_floats(filters->workspace_floats());
    } else {
        images = plan_images(*algorithm, pass, shape, options);
        workspace = aligned_floats(images->workspace_floats());
        packed = aligned_floats(images->packed_floats());
        images->pack(filters_of(shape, w.get()), packed.get());
        const double begin = now();
        images->pack(filters_of(shape, w.get()), packed.get());
        pack_seconds = now() - begin;
    }
    const auto run = [&] {
        if (pass == Pass::backward_weights) {
            filters->run(x.get(), y.get(), w.get(), workspace.get());
        } else if (pass == Pass::forward) {
            images->run(x.get(), packed.get(), {}, y.get(), workspace.get());
        } else {
            images->run(y.get(), packed.get(), {}, x.get(), workspace.get());
        }
    };
    const double peak = peak_flops(options.isa, options.threads, 0.2);
    const double seconds = named.count("seconds") ? std::atof(named["seconds"].c_str()) : 1.0;
    const std::int64_t rival_floats = number("rival", 0) * (1 << 18);
    const Floats64 rival = noise(rival_floats);
    volatile float seen = 0;
    const auto read_rival = [&] {
        float sum = 0;
        for (std::int64_t i = 0; i < rival_floats; i += 16) sum += rival[i];
        seen = seen + sum;
    };
    run();
    std::vector<double> times;
    const double begin = now(), processor = processor_time();
    while (times.size() < 5 || now() - begin < seconds) {
        read_rival();
        const double start = now();
        run();
        times.push_back(now() - start);
    }
    const double processor_seconds = (processor_time() - processor) / static_cast<double>(times.size());
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2], flops = 2.0 * static_cast<double>(shape.macs());
    const std::int64_t floats = images ? images->workspace_floats() : filters->workspace_floats();
    std::printf(
        "%s %s %s, %d threads, %s: median %.3f ms, smallest %.3f ms, processor %.3f ms a run; %.0f GFLOP/s "
        "(%.0f at the smallest), %.2f of the peak of %.0f; packing %.3f ms; workspace %.1f MB\n",
        algorithm->name, wanted.c_str(), name(options.isa), options.threads, layout.c_str(), 1e3 * median,
        1e3 * times[0], 1e3 * processor_seconds, 1e-9 * flops / median, 1e-9 * flops / times[0],
        flops / times[0] / peak, 1e-9 * peak, 1e3 * pack_seconds, 4e-6 * static_cast<double>(floats));
    return 0;
}
