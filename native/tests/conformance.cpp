// Every algorithm against the reference, over random shapes: the conformance suite, as a program of its own, so that it
// can be built with sanitizers and run without Python.
//
//     striate_conformance [--algorithm NAME] [--isa NAME] [--shapes N] [--seed S] [--threads T] [--verbose]
//
// First what the pool does without memory for its threads, while it has none. Then the shapes.
// For each shape: each algorithm that takes it, in each pass, layout and instruction set. Results are poisoned first,
// every block has canaries on both sides, inputs are compared with what they were, a run may not allocate, and the
// error is held to the bound that the algorithm states. Closes with "N passed, M failed". Long for a file: one program,
// read from the shapes it draws to its verdict.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conv/plan.h"
#include "memory/arena.h"
#include "ref/conv.h"
#include "tests/allocations.h"
#include "tests/cases.h"
#include "threads/pool.h"

using namespace striate;

namespace {

struct Arguments {
    std::string algorithm, isa;
    int shapes = 200, threads = 0;
    unsigned seed = 1;
    bool verbose = false;
};

// Floats between canaries, at an address that is aligned to no more than floats are (or to 64 bytes, on request).
class Guarded {
public:
    explicit Guarded(std::int64_t count, bool aligned = false)
        : count_(count), block_(aligned_floats(count + 2 * guard + 1)), first_(guard + (aligned ? 0 : 1)) {
        for (std::int64_t i = 0; i < count + 2 * guard + 1; ++i) block_[i] = canary;
    }
    float* data() { return block_.get() + first_; }
    std::int64_t size() const { return count_; }
    bool intact() const {
        for (std::int64_t i = 0; i < first_; ++i) {
            if (block_[i] != canary) return false;
        }
        for (std::int64_t i = first_ + count_; i < count_ + 2 * guard + 1; ++i) {
            if (block_[i] != canary) return false;
        }
        return true;
    }
    void poison() {
        for (std::int64_t i = 0; i < count_; ++i) data()[i] = std::numeric_limits<float>::quiet_NaN();
    }

private:
    static constexpr std::int64_t guard = 64;
    static constexpr float canary = 12345.678f;
    std::int64_t count_;
    Floats64 block_;
    std::int64_t first_;
};

// NCHW to `layout` and back, element by element. Lanes that stand for no map are `spare`: of images, which nobody reads
// there, NaN; of a residual, which is added there too, zero.
void lay_out(const Images& images, Layout layout, const std::vector<float>& planar, float* to, float spare = NAN) {
    std::fill_n(to, images.floats(layout), spare);
    const ImageStrides s = strides_of(layout, images.maps, images.height, images.width);
    std::size_t at = 0;
    for (std::int64_t n = 0; n < images.batch; ++n)
        for (std::int64_t c = 0; c < images.maps; ++c)
            for (std::int64_t y = 0; y < images.height; ++y)
                for (std::int64_t x = 0; x < images.width; ++x)
                    to[n * s.image + s.of_map(c) + y * s.row + x * s.pixel] = planar[at++];
}

// False if a lane that stands for no map is not zero.
bool read_back(const Images& images, Layout layout, const float* from, std::vector<float>& planar) {
    const ImageStrides s = strides_of(layout, images.maps, images.height, images.width);
    planar.resize(images.floats(Layout::nchw));
    bool zeros = true;
    std::size_t at = 0;
    for (std::int64_t n = 0; n < images.batch; ++n)
        for (std::int64_t c = 0; c < stored_maps(layout, images.maps); ++c)
            for (std::int64_t y = 0; y < images.height; ++y)
                for (std::int64_t x = 0; x < images.width; ++x) {
                    const float value = from[n * s.image + s.of_map(c) + y * s.row + x * s.pixel];
                    if (c < images.maps) {
                        planar[at++] = value;
                    } else {
                        zeros &= value == 0.0f;
                    }
                }
    return zeros;
}

std::vector<float> random_values(Random& random, std::int64_t count, float mean) {
    std::vector<float> values(count);
    for (float& value : values) value = mean + random.normal();
    return values;
}

std::vector<double> doubled(const std::vector<float>& values, bool absolute) {
    std::vector<double> result(values.begin(), values.end());
    if (absolute) {
        for (double& value : result) value = std::fabs(value);
    }
    return result;
}

// The inputs of all three passes, their results in double, and the sums of absolute products.
struct Case {
    ConvShape shape;
    Images x_images, y_images;
    std::vector<float> x, w, dy, bias, residual;
    bool with_bias, with_residual, relu;

    Case(const ConvShape& s, Random& random)
        : shape(s),
          x_images{s.batch, s.in, s.rows.size, s.columns.size},
          y_images{s.batch, s.out, s.rows.out(), s.columns.out()} {
        const float mean = random.chance(0.2) ? 30.0f : 0.0f;
        x = random_values(random, x_images.floats(Layout::nchw), mean);
        w = random_values(random, s.out * s.group_in() * s.taps(), 0);
        dy = random_values(random, y_images.floats(Layout::nchw), mean);
        bias = random_values(random, s.out, 0);
        residual = random_values(random, y_images.floats(Layout::nchw), 0);
        with_bias = random.chance(0.5), with_residual = random.chance(0.3), relu = random.chance(0.4);
    }

    // Without the epilogue.
    std::vector<double> expected(Pass pass, bool absolute) const {
        const auto images = doubled(x, absolute), filters = doubled(w, absolute), gradient = doubled(dy, absolute);
        std::vector<double> result;
        switch (pass) {
            case Pass::forward:
                result.resize(dy.size());
                reference::conv<double>(shape, images.data(), filters.data(), nullptr, result.data());
                break;
            case Pass::backward_data:
                result.resize(x.size());
                reference::conv_backward_data<double>(shape, gradient.data(), filters.data(), result.data());
                break;
            case Pass::backward_weights:
                result.resize(w.size());
                reference::conv_backward_weights<double>(shape, images.data(), gradient.data(), result.data());
                break;
        }
        return result;
    }
};

struct Outcome {
    std::string problem;  // empty: passed
    double error = 0;     // in units of the bound
};

// A run; the reference keeps its sums in double.
bool may_allocate(const ConvAlgorithm& algorithm) { return std::string_view(algorithm.name) == "reference"; }

Outcome compare(const Case& given, Pass pass, const ConvAlgorithm& algorithm, const std::vector<float>& result,
                const std::vector<double>& sums, const std::vector<double>& sizes) {
    double largest = 0, worst = 0;
    for (const double size : sizes) largest = std::max(largest, size);
    const bool finish = pass == Pass::forward;
    if (finish) largest += 10;  // bias and residual
    const std::int64_t pixels = given.y_images.height * given.y_images.width;
    for (std::size_t i = 0; i < result.size(); ++i) {
        double wanted = sums[i];
        if (finish && given.with_bias) wanted += given.bias[i / pixels % given.shape.out];
        if (finish && given.with_residual) wanted += given.residual[i];
        if (finish && given.relu) wanted = std::max(wanted, 0.0);
        if (std::isnan(result[i])) return {"element " + std::to_string(i) + " was not written"};
        worst = std::max(worst, std::fabs(result[i] - wanted));
    }
    const double bound = algorithm.error_bound(pass, given.shape) * std::ldexp(largest, -24);
    const double share = bound > 0 ? worst / bound : worst;
    if (share > 1) return {"error " + std::to_string(worst) + " is " + std::to_string(share) + " of its bound", share};
    return {"", share};
}

Outcome run_images(const Case& given, Pass pass, const ConvAlgorithm& algorithm, const ConvOptions& options,
                   const std::vector<double>& sums, const std::vector<double>& sizes) {
    const auto plan = plan_images(algorithm, pass, given.shape, options);
    const bool forward = pass == Pass::forward;
    const Images &from = forward ? given.x_images : given.y_images, &to = forward ? given.y_images : given.x_images;
    Guarded images(from.floats(options.from)), filters(static_cast<std::int64_t>(given.w.size()));
    Guarded packed(plan->packed_floats(), true), workspace(plan->workspace_floats(), true);
    Guarded bias(given.shape.out), residual(to.floats(options.to)),
        result(to.floats(options.to), options.cached_bytes == 0);
    lay_out(from, options.from, forward ? given.x : given.dy, images.data());
    std::copy(given.w.begin(), given.w.end(), filters.data());
    std::copy(given.bias.begin(), given.bias.end(), bias.data());
    if (forward) lay_out(to, options.to, given.residual, residual.data(), 0.0f);
    const std::vector<float> before(images.data(), images.data() + images.size());
    Epilogue epilogue;
    if (forward && given.with_bias) epilogue.bias = bias.data();
    if (forward && given.with_residual) epilogue.residual = residual.data();
    epilogue.relu = forward && given.relu;

    packed.poison(), workspace.poison(), result.poison();
    plan->pack(filters_of(given.shape, filters.data()), packed.data());
    const std::vector<float> packed_before(packed.data(), packed.data() + packed.size());
    std::vector<float> first;
    for (int again = 0; again < 2; ++again) {  // twice: what a run leaves in the workspace must not matter
        result.poison();
        const long allocated = allocations();
        plan->run(images.data(), packed.data(), epilogue, result.data(), workspace.data());
        if (again == 0) first.assign(result.data(), result.data() + result.size());
        // the first run may start threads
        if (again == 1 && allocations() != allocated && !may_allocate(algorithm)) return {"a run allocates"};
    }
    if (!same_bits(first, result.data())) return {"two runs differ"};
    if (!same_bits(before, images.data())) return {"images were modified"};
    if (!same_bits(packed_before, packed.data())) return {"packed weights were modified"};
    for (const Guarded* guarded : {&images, &filters, &packed, &workspace, &bias, &residual, &result}) {
        if (!guarded->intact()) return {"a canary is dead"};
    }
    std::vector<float> planar;
    if (!read_back(to, options.to, result.data(), planar)) return {"a lane beyond the last map is not zero"};
    return compare(given, pass, algorithm, planar, sums, sizes);
}

Outcome run_filters(const Case& given, const ConvAlgorithm& algorithm, const ConvOptions& options,
                    const std::vector<double>& sums, const std::vector<double>& sizes) {
    const auto plan = plan_filters(algorithm, given.shape, options);
    Guarded x(given.x_images.floats(options.from)), dy(given.y_images.floats(options.to));
    Guarded workspace(plan->workspace_floats(), true), result(static_cast<std::int64_t>(given.w.size()));
    lay_out(given.x_images, options.from, given.x, x.data());
    lay_out(given.y_images, options.to, given.dy, dy.data());
    const std::vector<float> x_before(x.data(), x.data() + x.size()), dy_before(dy.data(), dy.data() + dy.size());
    std::vector<float> first;
    workspace.poison();
    for (int again = 0; again < 2; ++again) {
        result.poison();
        const long allocated = allocations();
        plan->run(x.data(), dy.data(), result.data(), workspace.data());
        if (again == 0) first.assign(result.data(), result.data() + result.size());
        if (again == 1 && allocations() != allocated && !may_allocate(algorithm)) return {"a run allocates"};
    }
    if (!same_bits(first, result.data())) return {"two runs differ"};
    if (!same_bits(x_before, x.data()) || !same_bits(dy_before, dy.data())) return {"inputs were modified"};
    for (const Guarded* guarded : {&x, &dy, &workspace, &result}) {
        if (!guarded->intact()) return {"a canary is dead"};
    }
    return compare(given, Pass::backward_weights, algorithm, first, sums, sizes);
}

// A pool that gets no memory for its threads leaves the work to the caller, and signals as they were.
std::string without_threads() {
    const auto blocked = [] {
        sigset_t now;
        pthread_sigmask(SIG_SETMASK, nullptr, &now);
        return sigismember(&now, SIGINT) == 1;
    };
    std::atomic<std::int64_t> done{0};
    fail_after(1);  // after the pool itself, a thread's state
    try {
        parallel_for(8, 1, 4, [&](std::int64_t begin, std::int64_t end) { done += end - begin; });
    } catch (const std::bad_alloc&) {
        return blocked() ? "signals stay blocked where there is no memory for threads" : "no memory for threads throws";
    }
    if (done != 8) return "what threads without memory were to do was left undone";
    return blocked() ? "signals stay blocked" : "";
}

Arguments arguments_of(int count, char** words) {
    Arguments arguments;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const auto value = [&] {
            if (i + 1 >= count) std::fprintf(stderr, "%s needs a value\n", word.c_str()), std::exit(2);
            return std::string(words[++i]);
        };
        if (word == "--algorithm") {
            arguments.algorithm = value();
        } else if (word == "--isa") {
            arguments.isa = value();
        } else if (word == "--shapes") {
            arguments.shapes = std::atoi(value().c_str());
        } else if (word == "--seed") {
            arguments.seed = static_cast<unsigned>(std::atoi(value().c_str()));
        } else if (word == "--threads") {
            arguments.threads = std::atoi(value().c_str());
        } else if (word == "--verbose") {
            arguments.verbose = true;
        } else {
            std::fprintf(stderr, "unknown argument %s\n", word.c_str()), std::exit(2);
        }
    }
    if (!arguments.algorithm.empty() && conv_algorithm(arguments.algorithm) == nullptr) {
        std::fprintf(stderr, "no algorithm is called %s\n", arguments.algorithm.c_str()), std::exit(2);
    }
    return arguments;
}

// One of the ways in which a case is computed.
struct Way {
    Layout from, to;
    bool past_caches, with_residual;
};

}  // namespace

int main(int count, char** words) {
    const Arguments arguments = arguments_of(count, words);
    std::vector<Isa> isas = available_isas();
    if (!arguments.isa.empty()) isas = {isa_named(arguments.isa, "--isa")};
    Random random(arguments.seed);
    long passed = 0, failed = 0;
    const std::string no_threads = without_threads();
    if (!no_threads.empty()) std::printf("FAIL %s\n", no_threads.c_str());
    (no_threads.empty() ? passed : failed) += 1;
    std::vector<double> worst(conv_algorithms().size() * 3, 0);
    std::vector<long> tried(conv_algorithms().size() * 3, 0);
    const std::vector<ConvShape> chosen = chosen_shapes();
    const int count_of_chosen = static_cast<int>(chosen.size());
    for (int i = -count_of_chosen; i < arguments.shapes; ++i) {
        const bool by_chance = i >= 0;
        Case given(by_chance ? random_shape(random) : chosen[static_cast<std::size_t>(i + count_of_chosen)], random);
        given.with_bias |= !by_chance;
        const int threads =
            arguments.threads > 0 ? arguments.threads : static_cast<int>(random.in(by_chance ? 1 : 2, 3));
        for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
            std::vector<double> sums, sizes;
            for (std::size_t a = 0; a < conv_algorithms().size(); ++a) {
                const ConvAlgorithm& algorithm = *conv_algorithms()[a];
                if (!arguments.algorithm.empty() && arguments.algorithm != algorithm.name) continue;
                for (const Isa isa : isas) {
                    static constexpr Layout layouts[] = {Layout::nchw, Layout::channels_last, Layout::blocked};
                    std::vector<Way> ways = {
                        {layouts[random.in(0, 2)], layouts[random.in(0, 2)], random.chance(0.4), given.with_residual}};
                    if (!by_chance) {  // with a residual, maps side by side are never written in whole lines
                        ways.clear();
                        for (const Layout layout : layouts) {
                            for (const bool past_caches : {false, true}) {
                                ways.push_back({layout, layout, past_caches, false});
                                if (pass == Pass::forward) ways.push_back({layout, layout, past_caches, true});
                            }
                        }
                    }
                    for (const auto& [from, to, past_caches, with_residual] : ways) {
                        ConvOptions options{from, to, isa, threads};
                        if (past_caches) options.cached_bytes = 0;
                        given.with_residual = with_residual;
                        if (!refusal(algorithm, pass, given.shape, options).empty()) continue;
                        if (sums.empty()) sums = given.expected(pass, false), sizes = given.expected(pass, true);
                        const Outcome outcome = pass == Pass::backward_weights
                                                    ? run_filters(given, algorithm, options, sums, sizes)
                                                    : run_images(given, pass, algorithm, options, sums, sizes);
                        const std::size_t row = 3 * a + static_cast<std::size_t>(pass);
                        worst[row] = std::max(worst[row], outcome.error), ++tried[row];
                        (outcome.problem.empty() ? passed : failed) += 1;
                        if (outcome.problem.empty() && !arguments.verbose) continue;
                        std::printf("%s %s %s %s, %s to %s, %d threads, shape %d: %s: %s\n",
                                    outcome.problem.empty() ? "ok  " : "FAIL", algorithm.name, described(pass),
                                    name(isa), described(from), described(to), threads, i,
                                    described(given.shape).c_str(), outcome.problem.c_str());
                    }
                }
            }
        }
    }
    for (std::size_t row = 0; row < worst.size(); ++row) {
        if (tried[row] == 0) continue;
        std::printf("%-14s %-16s %6ld runs, largest error %.3f of its bound\n", conv_algorithms()[row / 3]->name,
                    described(static_cast<Pass>(row % 3)), tried[row], worst[row]);
    }
    std::printf("%ld passed, %ld failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
