// Shapes for the conformance suites: drawn by chance, and chosen; and what a message calls them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "conv/plan.h"

namespace striate {

class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::int64_t in(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
    }
    bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(engine_) < p; }
    float normal() { return std::normal_distribution<float>()(engine_); }
    std::int64_t maps() {
        switch (in(0, 4)) {
            case 0: return in(1, 5);
            case 1: return in(15, 18);
            case 2: return 16 * in(1, 4);
            case 3: return in(31, 50);
            default: return in(1, 70);
        }
    }

private:
    std::mt19937 engine_;
};

inline Axis random_axis(Random& random) {
    static constexpr std::int64_t kernels[] = {1, 1, 2, 3, 3, 3, 3, 4, 5, 7, 11};
    Axis axis{.size = 1};
    do {
        axis.kernel = kernels[random.in(0, 10)];
        axis.stride = random.chance(0.6) ? 1 : random.in(2, 4);
        axis.dilation = random.chance(0.8) ? 1 : random.in(2, 3);
        axis.low = random.chance(0.3) ? axis.kernel / 2 : random.in(0, axis.kernel + 1);
        axis.high = random.chance(0.5) ? axis.low : random.in(0, axis.kernel + 1);
        axis.size = random.chance(0.1) ? 1 : random.chance(0.15) ? random.in(40, 110) : random.in(2, 30);
    } while (axis.out() < 1);
    return axis;
}

inline ConvShape random_shape(Random& random) {
    ConvShape s{};
    s.batch = random.in(1, 3);
    s.rows = random_axis(random);
    s.columns = random.chance(0.5) ? s.rows : random_axis(random);
    if (random.chance(0.5)) s.columns.size = s.rows.size;
    if (s.columns.out() < 1) s.columns = s.rows;
    if (random.chance(0.15)) {  // depthwise, with one or two filters a map
        s.groups = s.in = random.maps();
        s.out = s.in * random.in(1, 2);
    } else {
        s.groups = random.chance(0.75) ? 1 : random.in(2, 3);
        s.in = s.groups * (random.chance(0.3) ? 16 * random.in(1, 2) : random.maps());
        s.out = s.groups * (random.chance(0.3) ? 16 * random.in(1, 2) : random.maps());
    }
    if (random.chance(0.06)) {  // many maps on few pixels: sums longer than any block of them
        s.groups = 1;
        s.in = random.in(200, 700), s.out = random.in(1, 40);
        if (random.chance(0.5)) std::swap(s.in, s.out);
        for (Axis* axis : {&s.rows, &s.columns}) {
            *axis = {.size = random.in(1, 8), .kernel = random.chance(0.7) ? 1 : 2, .stride = random.in(1, 2)};
            if (axis->kernel > axis->size) axis->low = 1;
        }
    }
    // the reference sums one product at a time: keep it to two million
    while (s.macs() > 2'000'000 && s.batch > 1) --s.batch;
    while (s.macs() > 2'000'000) {
        Axis& longer = s.rows.size > s.columns.size ? s.rows : s.columns;
        Axis shorter = longer;
        shorter.size = longer.size * 2 / 3;
        if (shorter.size > 4 && shorter.out() > 0) {
            longer = shorter;
        } else {
            s.groups = 1;
            s.in = s.in / 2 + 1;
            s.out = s.out / 2 + 1;
        }
    }
    return s;
}

// Shapes that chance seldom draws and kernels treat in a way of their own. They are tried in every layout.
inline std::vector<ConvShape> chosen_shapes() {
    const auto square = [](std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
        return Axis{.size = size, .kernel = kernel, .stride = stride, .low = padding, .high = padding};
    };
    const auto oblong = [](std::int64_t batch, std::int64_t in, std::int64_t out, std::int64_t groups, Axis rows,
                           Axis columns) {
        return ConvShape{.batch = batch, .in = in, .out = out, .groups = groups, .rows = rows, .columns = columns};
    };
    const auto shape = [&](std::int64_t batch, std::int64_t in, std::int64_t out, std::int64_t groups, Axis axis) {
        return oblong(batch, in, out, groups, axis, axis);
    };
    return {
        shape(3, 40, 40, 40, square(35, 3, 2, 1)),  // depthwise, stride 2: 18 rows of results in chunks of 2 or 3
        shape(2, 40, 40, 40, square(18, 3, 1, 1)),  // depthwise, stride 1
        shape(1, 32, 32, 32, square(13, 3, 1, 1)),  // the same, of maps in whole lines of the caches
        shape(2, 20, 20, 20, square(14, 5, 1, 2)),  // depthwise, a filter that no kernel is made for
        shape(1, 20, 48, 1, square(15, 3, 1, 1)),   // lines of 16 maps, which two blocks of eight make together
        shape(2, 1, 1, 1, square(1, 3, 1, 1)),      // one map of one pixel: blocks lie as channels-last maps do
        shape(1, 20, 40, 1, square(14, 5, 1, 2)),   // long and short tiles of five taps
        shape(2, 20, 40, 1, square(13, 7, 1, 3)),   // the largest filters that Winograd takes,
        oblong(2, 20, 40, 1, square(12, 1, 1, 0), square(17, 7, 1, 3)),  // along rows
        oblong(2, 20, 40, 1, square(17, 7, 1, 3), square(12, 1, 1, 0)),  // and down columns,
        oblong(1, 20, 40, 1, square(5, 1, 1, 0), square(10, 7, 1, 3)),   // with long and short tiles
        oblong(1, 20, 40, 1, square(10, 5, 1, 2), square(5, 1, 1, 0)),   // of both sizes
        shape(1, 3, 5, 1, square(170, 3, 1, 1)),  // many chunks of tiles, and sums over all of them,
        oblong(1, 3, 5, 1, square(150, 1, 1, 0), square(144, 7, 1, 3)),  // of one axis
        oblong(1, 3, 5, 1, square(150, 5, 1, 2), square(150, 1, 1, 0)),  // and the other
        shape(1, 200, 260, 1, square(7, 3, 1, 1)),  // weights larger than images: threads share a chunk
        oblong(1, 20, 40, 1, {.size = 13, .kernel = 3, .stride = 2, .low = 1}, square(16, 3, 2, 0)),  // every second
        oblong(2, 9, 20, 1, square(15, 5, 2, 2), {.size = 22, .kernel = 5, .stride = 2, .high = 3}),  // pixel, of both
        shape(1, 40, 36, 2, square(14, 3, 2, 1)),    // sizes and sides of filters, in groups,
        shape(1, 70, 260, 1, square(9, 3, 2, 1)),    // and by threads that share a chunk
        shape(1, 700, 40, 1, square(5, 1, 1, 0)),    // a sum in several blocks
        shape(2, 300, 70, 1, square(9, 1, 2, 0)),    // 1×1 filters that skip pixels
        shape(1, 5, 7, 1, square(83, 1, 2, 0)),      // the same, and tiles of pixels that end where rows do
        shape(2, 131, 130, 1, square(12, 1, 1, 0)),  // products that Strassen halves, with something left over
        shape(1, 40, 262, 2, square(13, 3, 1, 1)),   // the same by im2col, in groups
        shape(1, 260, 262, 2, square(12, 1, 1, 0)),  // and by groups of whole images
        shape(3, 20, 130, 1, square(24, 3, 2, 1)),   // with a stride, and sums over images
    };
}

inline std::string described(const ConvShape& s) {
    char text[256];
    std::snprintf(
        text, sizeof text,
        "%lld×%lld×%lld×%lld → %lld, %lld groups, filters %lld×%lld, stride %lld×%lld, padding %lld %lld %lld "
        "%lld, dilation %lld×%lld",
        static_cast<long long>(s.batch), static_cast<long long>(s.in), static_cast<long long>(s.rows.size),
        static_cast<long long>(s.columns.size), static_cast<long long>(s.out), static_cast<long long>(s.groups),
        static_cast<long long>(s.rows.kernel), static_cast<long long>(s.columns.kernel),
        static_cast<long long>(s.rows.stride), static_cast<long long>(s.columns.stride),
        static_cast<long long>(s.rows.low), static_cast<long long>(s.rows.high), static_cast<long long>(s.columns.low),
        static_cast<long long>(s.columns.high), static_cast<long long>(s.rows.dilation),
        static_cast<long long>(s.columns.dilation));
    return text;
}

// Bit for bit, so that NaN is like itself. An empty vector may have no data, and memcmp wants some.
template <typename T>
bool same_bits(const std::vector<T>& one, const T* other) {
    return one.empty() || std::memcmp(one.data(), other, one.size() * sizeof(T)) == 0;
}

inline const char* described(Pass pass) {
    return pass == Pass::forward ? "forward" : pass == Pass::backward_data ? "backward_data" : "backward_weights";
}

inline const char* described(Layout layout) {
    return layout == Layout::nchw ? "nchw" : layout == Layout::channels_last ? "channels_last" : "blocked";
}

struct Images {
    std::int64_t batch, maps, height, width;
    std::int64_t floats(Layout layout) const { return batch * stored_maps(layout, maps) * height * width; }
};

}  // namespace striate
