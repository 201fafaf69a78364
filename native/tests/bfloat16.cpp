// Every algorithm by products of bfloat16 numbers against the reference, fed the same numbers: as conformance.cpp, for
// the plans of native/bfloat16, of bfloat16 numbers and of floats that become sums of two.
//
//     striate_bfloat16 [--algorithm NAME] [--unit NAME] [--shapes N] [--seed S]
//
// For each shape: each algorithm that takes it, in both passes, some layouts, on every unit that multiplies here. Three
// kinds of numbers: normal ones, a large mean, and a range of 2⁻²⁰ to 2²⁰. Closes with "N passed, M failed".
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bfloat16/plan.h"
#include "memory/arena.h"
#include "ref/conv.h"
#include "tests/allocations.h"
#include "tests/cases.h"
#include "tests/words.h"

using namespace striate;

namespace {

// Numbers between canaries, at an address that is aligned to so much and no more; to 64 bytes or more if to 64.
class Guarded {
public:
    Guarded(std::int64_t bytes, std::int64_t alignment)
        : bytes_(bytes),
          block_(aligned_floats((bytes + 2 * guard + 64) / 4)),
          first_(guard + (alignment < 64 ? alignment : 0)) {
        std::memset(block_.get(), canary, static_cast<std::size_t>(bytes + 2 * guard));
    }
    template <typename T>
    T* as() {
        return reinterpret_cast<T*>(reinterpret_cast<char*>(block_.get()) + first_);
    }
    std::int64_t bytes() const { return bytes_; }
    void poison() { std::memset(as<char>(), 0xff, static_cast<std::size_t>(bytes_)); }  // NaN, of either kind
    bool intact() {
        const char* const all = reinterpret_cast<const char*>(block_.get());
        for (std::int64_t i = 0; i < bytes_ + 2 * guard; ++i) {
            if ((i < first_ || i >= first_ + bytes_) && all[i] != canary) return false;
        }
        return true;
    }

private:
    static constexpr std::int64_t guard = 256;
    static constexpr char canary = 0x5a;
    std::int64_t bytes_;
    Floats64 block_;
    std::int64_t first_;
};

enum class Numbers { normal, large_mean, wide_range };

// Floats that are elements.
template <typename Element>
std::vector<float> values(Random& random, std::int64_t count, Numbers kind) {
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& value : result) {
        float drawn = random.normal() + (kind == Numbers::large_mean ? 30.0f : 0.0f);
        if (kind == Numbers::wide_range) drawn = std::ldexp(drawn, static_cast<int>(random.in(-20, 20)));
        Element element;
        put_float(drawn, &element);
        value = as_float(element);
    }
    return result;
}

std::int64_t numbers_in(const Images& images, Layout layout) { return images.floats(layout); }

template <typename Element>
std::int64_t bytes_in(const Images& images, Layout layout) {
    return static_cast<std::int64_t>(sizeof(Element)) * numbers_in(images, layout);
}

template <typename Element>
void lay_out(const Images& images, Layout layout, const std::vector<float>& planar, Element* to) {
    std::memset(to, 0, static_cast<std::size_t>(bytes_in<Element>(images, layout)));
    const ImageStrides s = strides_of(layout, images.maps, images.height, images.width);
    std::size_t at = 0;
    for (std::int64_t n = 0; n < images.batch; ++n)
        for (std::int64_t c = 0; c < images.maps; ++c)
            for (std::int64_t y = 0; y < images.height; ++y)
                for (std::int64_t x = 0; x < images.width; ++x)
                    put_float(planar[at++], to + n * s.image + s.of_map(c) + y * s.row + x * s.pixel);
}

// One convolution's numbers, and its results in double.
template <typename Element>
struct Case {
    ConvShape shape;
    Images x, y;
    std::vector<float> x_values, w, dy_values, bias, residual;
    bool with_bias, with_residual, relu;

    Case(const ConvShape& s, Random& random)
        : shape(s), x{s.batch, s.in, s.rows.size, s.columns.size}, y{s.batch, s.out, s.rows.out(), s.columns.out()} {
        const Numbers kind = random.chance(0.6)   ? Numbers::normal
                             : random.chance(0.5) ? Numbers::large_mean
                                                  : Numbers::wide_range;
        x_values = values<Element>(random, x.floats(Layout::nchw), kind);
        dy_values = values<Element>(random, y.floats(Layout::nchw), kind);
        w = values<Element>(random, s.out * s.group_in() * s.taps(), Numbers::normal);
        bias = values<Element>(random, s.out, Numbers::normal);
        residual = values<Element>(random, y.floats(Layout::nchw), Numbers::normal);
        with_bias = random.chance(0.5), with_residual = random.chance(0.3), relu = random.chance(0.4);
    }

    std::vector<double> sums(Pass pass, bool absolute) const {
        const auto doubled = [&](const std::vector<float>& from) {
            std::vector<double> to(from.begin(), from.end());
            if (absolute)
                for (double& value : to) value = std::fabs(value);
            return to;
        };
        const auto weights = doubled(w);
        std::vector<double> result;
        if (pass == Pass::forward) {
            result.resize(dy_values.size());
            reference::conv<double>(shape, doubled(x_values).data(), weights.data(), nullptr, result.data());
        } else {
            result.resize(x_values.size());
            reference::conv_backward_data<double>(shape, doubled(dy_values).data(), weights.data(), result.data());
        }
        return result;
    }
};

struct Outcome {
    std::string problem;  // empty: passed
    double share = 0;     // of the bound
};

template <typename Element>
Outcome run(const Case<Element>& given, Pass pass, const BfloatAlgorithmOf<Element>& algorithm,
            const BfloatOptions& options, const std::vector<double>& sums, double largest) {
    const auto plan = plan_bfloat(algorithm, pass, given.shape, options);
    const bool forward = pass == Pass::forward;
    const Images &from = forward ? given.x : given.y, &to = forward ? given.y : given.x;
    constexpr auto own = static_cast<std::int64_t>(alignof(Element));
    Guarded images(bytes_in<Element>(from, options.from), own), packed(plan->packed_bytes(), 64),
        workspace(plan->workspace_bytes(), 64), residual(bytes_in<Element>(to, options.to), own),
        result(bytes_in<Element>(to, options.to), own);
    lay_out(from, options.from, forward ? given.x_values : given.dy_values, images.as<Element>());
    if (forward) lay_out(to, options.to, given.residual, residual.as<Element>());
    const std::vector<char> before(images.as<char>(), images.as<char>() + images.bytes());
    BfloatEpilogueOf<Element> epilogue;
    if (forward && given.with_bias) epilogue.bias = given.bias.data();
    if (forward && given.with_residual) epilogue.residual = residual.as<Element>();
    epilogue.relu = forward && given.relu;

    packed.poison(), workspace.poison();
    plan->pack(filters_of(given.shape, given.w.data()), packed.as<void>());
    const std::vector<char> packed_before(packed.as<char>(), packed.as<char>() + packed.bytes());
    std::vector<char> first;
    for (int again = 0; again < 2; ++again) {
        result.poison();
        const long allocated = allocations();
        plan->run(images.as<Element>(), packed.as<void>(), epilogue, result.as<Element>(), workspace.as<void>());
        if (again == 0) first.assign(result.as<char>(), result.as<char>() + result.bytes());
        // the first run may start threads
        if (again == 1 && allocations() != allocated) return {"a run allocates"};
    }
    if (!same_bits(first, result.as<char>())) return {"two runs differ"};
    if (epilogue.residual != nullptr) {  // in the result's place: finished once, from a whole sum, it is still the same
        std::memcpy(result.as<char>(), residual.as<char>(), static_cast<std::size_t>(residual.bytes()));
        epilogue.residual = result.as<Element>();
        plan->run(images.as<Element>(), packed.as<void>(), epilogue, result.as<Element>(), workspace.as<void>());
        if (!same_bits(first, result.as<char>())) return {"a result is finished twice"};
    }
    if (!same_bits(before, images.as<char>())) return {"images were modified"};
    if (!same_bits(packed_before, packed.as<char>())) return {"weights were modified"};
    for (Guarded* each : {&images, &packed, &workspace, &residual, &result}) {
        if (!each->intact()) return {"a canary is dead"};
    }

    const ImageStrides s = strides_of(options.to, to.maps, to.height, to.width);
    double worst = 0;
    std::size_t at = 0;
    for (std::int64_t n = 0; n < to.batch; ++n)
        for (std::int64_t c = 0; c < stored_maps(options.to, to.maps); ++c)
            for (std::int64_t y = 0; y < to.height; ++y)
                for (std::int64_t x = 0; x < to.width; ++x) {
                    const float value =
                        as_float(result.as<Element>()[n * s.image + s.of_map(c) + y * s.row + x * s.pixel]);
                    if (c >= to.maps) {
                        if (value != 0) return {"a lane beyond the last map is not zero"};
                        continue;
                    }
                    const std::size_t i = at + static_cast<std::size_t>((c * to.height + y) * to.width + x);
                    double wanted = sums[i];
                    if (epilogue.bias != nullptr) wanted += given.bias[static_cast<std::size_t>(c)];
                    if (epilogue.residual != nullptr) wanted += given.residual[i];
                    if (epilogue.relu) wanted = std::max(wanted, 0.0);
                    if (std::isnan(value)) return {"element " + std::to_string(i) + " was not written"};
                    worst = std::max(worst, std::fabs(value - wanted));
                    if (c == to.maps - 1 && y == to.height - 1 && x == to.width - 1) at = i + 1;
                }
    const double bound = algorithm.error_bound(pass, given.shape) * std::ldexp(largest + (forward ? 10 : 0), -24);
    const double share = bound > 0 ? worst / bound : worst;
    if (share > 1) return {"error " + std::to_string(worst) + " is " + std::to_string(share) + " of its bound", share};
    return {"", share};
}

struct Tally {
    long passed = 0, failed = 0;
};

template <typename Element>
Tally try_all(const std::vector<BfloatUnit>& units, int shapes, unsigned seed, const std::string& only) {
    Random random(seed);
    static constexpr Layout layouts[] = {Layout::nchw, Layout::channels_last, Layout::blocked};
    const auto& algorithms = bfloat_algorithms<Element>();
    std::vector<double> worst(2 * algorithms.size(), 0);
    std::vector<long> tried(2 * algorithms.size(), 0);
    Tally tally;
    std::vector<ConvShape> chosen = chosen_shapes();
    // weights larger than a cache, and tiles in several parts: what threads share in bfloat16
    const Axis shared{.size = 18, .kernel = 3, .low = 1, .high = 1};
    chosen.push_back({.batch = 1, .in = 200, .out = 260, .rows = shared, .columns = shared});
    const int count_of_chosen = static_cast<int>(chosen.size());
    for (int i = -count_of_chosen; i < shapes; ++i) {
        const bool by_chance = i >= 0;
        const Case<Element> given(
            by_chance ? random_shape(random) : chosen[static_cast<std::size_t>(i + count_of_chosen)], random);
        const int threads = static_cast<int>(random.in(by_chance ? 1 : 2, 3));
        for (const Pass pass : {Pass::forward, Pass::backward_data}) {
            std::vector<double> sums;
            double largest = 0;
            for (std::size_t a = 0; a < algorithms.size(); ++a) {
                const BfloatAlgorithmOf<Element>& algorithm = *algorithms[a];
                if (!only.empty() && only != algorithm.name) continue;
                for (const BfloatUnit unit : units) {
                    const Layout from = layouts[random.in(0, 2)], to = layouts[random.in(0, 2)];
                    if (!bfloat_refusal(algorithm, pass, given.shape, from, to).empty()) continue;
                    if (sums.empty()) {
                        sums = given.sums(pass, false);
                        for (const double size : given.sums(pass, true)) largest = std::max(largest, size);
                    }
                    const Outcome outcome = run(given, pass, algorithm, {from, to, unit, threads}, sums, largest);
                    const std::size_t row = 2 * a + (pass == Pass::forward ? 0 : 1);
                    worst[row] = std::max(worst[row], outcome.share), ++tried[row];
                    (outcome.problem.empty() ? tally.passed : tally.failed) += 1;
                    if (outcome.problem.empty()) continue;
                    std::printf("FAIL %s %s %s, %s to %s, %d threads, shape %d: %s: %s\n", algorithm.name,
                                described(pass), name(unit), described(from), described(to), threads, i,
                                described(given.shape).c_str(), outcome.problem.c_str());
                }
            }
        }
    }
    for (std::size_t row = 0; row < worst.size(); ++row) {
        if (tried[row] == 0) continue;
        std::printf("%-17s %-14s %6ld runs, largest error %.3f of its bound\n", algorithms[row / 2]->name,
                    described(row % 2 == 0 ? Pass::forward : Pass::backward_data), tried[row], worst[row]);
    }
    return tally;
}

}  // namespace

int main(int count, char** words) {
    auto [plain, named] = words_of(count, words);
    const int shapes = named.count("shapes") ? std::atoi(named["shapes"].c_str()) : 200;
    const unsigned seed = named.count("seed") ? static_cast<unsigned>(std::atoi(named["seed"].c_str())) : 1u;
    std::vector<BfloatUnit> units;
    for (const Isa isa : available_isas()) {
        for (const BfloatUnit unit : bfloat_units(isa)) units.push_back(unit);
    }
    if (named.count("unit")) units = {bfloat_unit_named(named["unit"], "--unit")};
    const Tally narrow = try_all<Bfloat16>(units, shapes, seed, named["algorithm"]);
    const Tally split = try_all<float>(units, shapes, seed, named["algorithm"]);
    const long passed = narrow.passed + split.passed, failed = narrow.failed + split.failed;
    std::printf("%ld passed, %ld failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
