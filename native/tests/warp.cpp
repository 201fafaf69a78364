// Warping against the double loops: random images, maps, filters, borders, types and layouts.
//
//     striate_warp [--isa NAME] [--shapes N] [--seed S]
//
// Each within a quarter of a grey level (through the colour matrix) and the last place of the output's type, the same
// bits for 1, 2 and 3 threads, and nothing written beyond the output. Every image is a block of its own, so that a
// sanitizer sees what is read beyond it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "augment/map.h"
#include "augment/warp.h"
#include "ref/warp.h"
#include "tests/words.h"

using namespace striate;

namespace {

class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::int64_t in(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
    }
    double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
    bool coin() { return in(0, 1) == 1; }

private:
    std::mt19937 engine_;
};

std::int64_t side(Random& random) {
    switch (random.in(0, 4)) {
        case 0: return random.in(1, 6);
        case 1: return random.in(100, 300);
        default: return random.in(1, 70);
    }
}

std::vector<std::uint8_t> noise(Random& random, std::int64_t count) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
    const bool extremes = random.coin();
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(extremes ? 255 * random.in(0, 1) : random.in(0, 255));
    return bytes;
}

// A map of some kind from height × width into the image: a resize, a mirrored crop, a rotation with a shear, a tilt,
// what hardly moves a pixel, and what hardly shrinks (always, if `shrinks`).
void fill_map(Random& random, const Image& image, std::int64_t height, std::int64_t width, bool shrinks, double* g) {
    const auto w = static_cast<double>(width), h = static_cast<double>(height);
    const auto source_w = static_cast<double>(image.width), source_h = static_cast<double>(image.height);
    const std::int64_t kind = shrinks ? 5 : std::min<std::int64_t>(random.in(0, 6), 4);
    double a = source_w / w, b = 0, c = 0, d = source_h / h;
    double x = 0.5 * source_w, y = 0.5 * source_h;  // where the output's centre comes from
    if (kind > 0) {
        a = std::exp(random.real(-2, 3)) * (random.coin() ? 1 : -1), d = std::exp(random.real(-2, 3));
        x += std::round(random.real(-0.3, 0.3) * source_w), y += std::round(random.real(-0.3, 0.3) * source_h);
    }
    if (kind == 4) a = random.real(0.8, 1.2) * (random.coin() ? 1 : -1), d = random.real(0.8, 1.2);
    if (kind == 5) a = random.real(1.0, 1.12) * (random.coin() ? 1 : -1), d = random.real(1.0, 1.12);
    if (kind > 1) {
        const double turn = kind >= 4 ? 0.1 : 3.2, lean = kind >= 4 ? 0.1 : 0.5, p = a, q = d;
        const double angle = random.real(-turn, turn), shear = random.real(-lean, lean);
        a = p * std::cos(angle), b = p * (shear * std::cos(angle) - std::sin(angle));
        c = q * std::sin(angle), d = q * (shear * std::sin(angle) + std::cos(angle));
    }
    const double map[9] = {a, b, x - 0.5 * (a * w + b * h), c, d, y - 0.5 * (c * w + d * h), 0, 0, 1};
    std::copy(map, map + 9, g);
    if (kind == 3) g[6] = random.real(-0.4, 0.4) / w, g[7] = random.real(-0.4, 0.4) / h;
}

struct Case {
    std::vector<std::vector<std::uint8_t>> pixels;
    std::vector<Image> images;
    std::vector<double> geometry, lens;
    std::vector<float> colour;
    float scale[3] = {1, 1, 1}, shift[3] = {0, 0, 0}, fill[3] = {10, 200, 99};
    std::vector<std::uint8_t> out;
    Warp call{};
    double levels = 0.25;

    explicit Case(Random& random) {
        call.size = random.in(1, 3), call.channels = random.coin() ? 3 : 1;
        call.height = side(random), call.width = side(random);
        call.layout = random.coin() ? PixelLayout::planar : PixelLayout::interleaved;
        call.value = static_cast<Value>(random.in(0, 2));
        call.sampler = static_cast<Sampler>(random.in(0, 2)), call.border = static_cast<Border>(random.in(0, 2));
        call.antialias = random.coin();
        // By next to nothing, antialiased: the third taps that few pixels have.
        const bool shrinks = random.in(0, 3) == 0;
        if (shrinks) call.channels = 3, call.sampler = Sampler::bilinear, call.antialias = true;
        geometry.resize(static_cast<std::size_t>(9 * call.size)), lens.resize(static_cast<std::size_t>(2 * call.size));
        const bool bends = random.coin();
        for (std::int64_t b = 0; b < call.size; ++b) {
            const std::int64_t height = side(random), width = side(random);
            pixels.push_back(noise(random, height * width * call.channels));
            images.push_back({pixels.back().data(), height, width});
            double* map = &geometry[static_cast<std::size_t>(9 * b)];
            double* terms = &lens[static_cast<std::size_t>(2 * b)];
            do {
                fill_map(random, images.back(), call.height, call.width, shrinks, map);
                if (bends) terms[0] = random.real(-0.3, 0.3), terms[1] = random.real(-0.2, 0.2);
            } while (!refusal(map, bends ? terms : nullptr, call.height, call.width).empty());
        }
        call.geometry = geometry.data(), call.lens = bends ? lens.data() : nullptr;
        if (random.coin()) {
            const std::int64_t count = call.size * call.channels * (call.channels + 1);
            for (std::int64_t i = 0; i < count; ++i) {
                const bool constant = i % (call.channels + 1) == call.channels;
                colour.push_back(static_cast<float>(constant ? random.real(-50, 50) : random.real(-1, 1)));
            }
            call.colour = colour.data();
            levels *= static_cast<double>(call.channels);
        }
        if (call.value != Value::uint8) std::fill(scale, scale + 3, 0.5f), std::fill(shift, shift + 3, -60.0f);
        call.scale = scale, call.shift = shift, call.fill = fill;
        out.resize(static_cast<std::size_t>(values() * value_nbytes()));
        call.out = out.data();
    }

    std::int64_t values() const { return call.size * call.image_values(); }
    std::int64_t value_nbytes() const {
        return call.value == Value::float32 ? 4 : call.value == Value::bfloat16 ? 2 : 1;
    }

    double value(const std::vector<std::uint8_t>& bytes, std::int64_t i) const {
        const std::uint8_t* at = bytes.data() + i * value_nbytes();
        if (call.value == Value::uint8) return *at;
        std::uint32_t bits = 0;
        if (call.value == Value::float32) {
            std::memcpy(&bits, at, 4);
        } else {
            std::memcpy(reinterpret_cast<char*>(&bits) + 2, at, 2);  // little-endian, as every set of kernels is
        }
        return std::bit_cast<float>(bits);
    }
};

bool check(Random& random, Isa isa, int number) {
    Case c(random);
    c.call.by_lines = number % 4 != 0;
    reference::warp(c.call, c.images.data());
    const std::vector<std::uint8_t> wanted = c.out;
    std::vector<std::uint8_t> first;
    std::string problem;
    for (const int threads : {1, 2, 3}) {
        std::fill(c.out.begin(), c.out.end(), std::uint8_t{170});
        warp(c.call, c.images.data(), isa, threads);
        if (threads == 1) first = c.out;
        if (c.out != first) problem = "other bits for other threads";
    }
    const double last_place = c.call.value == Value::uint8 ? 1.0 : c.call.value == Value::float32 ? 1e-4 : 1.0;
    const double allowed = c.levels * c.scale[0] + last_place;
    for (std::int64_t i = 0; i < c.values(); ++i) {
        const double error = std::abs(c.value(first, i) - c.value(wanted, i));
        if (!(error <= allowed)) problem = "off by " + std::to_string(error) + " at value " + std::to_string(i);
    }
    if (problem.empty()) return true;
    std::printf("FAIL %s, case %d: %ld images to %ld × %ld × %ld, filter %d, border %d, type %d: %s\n", name(isa),
                number, static_cast<long>(c.call.size), static_cast<long>(c.call.channels),
                static_cast<long>(c.call.height), static_cast<long>(c.call.width), static_cast<int>(c.call.sampler),
                static_cast<int>(c.call.border), static_cast<int>(c.call.value), problem.c_str());
    return false;
}

}  // namespace

int main(int count, char** given) {
    Words words = words_of(count, given);
    std::vector<Isa> isas = available_isas();
    if (words.named.contains("isa")) isas = {isa_named(words.named["isa"], "--isa")};
    const int shapes = words.named.contains("shapes") ? std::atoi(words.named["shapes"].c_str()) : 2000;
    const int seed = words.named.contains("seed") ? std::atoi(words.named["seed"].c_str()) : 1;
    int passed = 0, failed = 0;
    for (const Isa isa : isas) {
        Random random(static_cast<unsigned>(seed));
        for (int i = 0; i < shapes; ++i) (check(random, isa, i) ? passed : failed) += 1;
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
