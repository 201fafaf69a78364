#include "resize/filter.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace striate {

namespace {

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double triangle(double x) {
    x = std::abs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

double cubic(double x) {  // Keys 1981, eq. 4
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= std::numbers::pi;
    return std::sin(x) / x;
}

double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

struct Shape {
    double (*at)(double);
    double support;
};

Shape shape_of(Filter filter) {
    switch (filter) {
        case Filter::box: return {box, 0.5};
        case Filter::bilinear: return {triangle, 1.0};
        case Filter::bicubic: return {cubic, 2.0};
        case Filter::lanczos: return {lanczos, 3.0};
    }
    return {box, 0.5};
}

// The halves of the weights, in groups.
void split(Taps& taps) {
    const std::int32_t most = *std::max_element(taps.count.begin(), taps.count.end());
    taps.groups = (most + group - 1) / group;
    taps.halves.assign(taps.out * taps.groups * 2 * group, 0);
    for (std::int64_t i = 0; i < taps.out; ++i) {
        for (std::int32_t k = 0; k < taps.count[i]; ++k) {
            const std::int32_t weight = taps.weight[i * taps.stride + k];
            std::int16_t* high = &taps.halves[(i * taps.groups + k / group) * 2 * group + k % group];
            high[0] = static_cast<std::int16_t>(weight >> half_bits);
            high[group] = static_cast<std::int16_t>(weight & ((1 << half_bits) - 1));
        }
    }
}

}  // namespace

Taps taps_of(Filter filter, std::int64_t in, std::int64_t out) {
    const Shape shape = shape_of(filter);
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double stretch = std::max(scale, 1.0);
    const double reach = shape.support * stretch;
    const double per_stretch = 1.0 / stretch;  // multiplied, not divided by, below: the last bit counts

    Taps taps;
    taps.in = in;
    taps.out = out;
    taps.stride = static_cast<std::int64_t>(std::ceil(reach)) * 2 + 1;
    taps.first.resize(out);
    taps.count.resize(out);
    taps.weight.assign(out * taps.stride, 0);
    std::vector<double> exact(taps.stride);
    for (std::int64_t i = 0; i < out; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * scale;
        const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(centre - reach + 0.5), 0);
        const auto end = std::min<std::int64_t>(static_cast<std::int64_t>(centre + reach + 0.5), in);
        double sum = 0.0;
        for (std::int64_t k = 0; k < end - first; ++k) {
            exact[k] = shape.at((static_cast<double>(k + first) - centre + 0.5) * per_stretch);
            sum += exact[k];
        }
        for (std::int64_t k = 0; k < end - first; ++k) {
            const double normal = sum != 0.0 ? exact[k] / sum : exact[k];
            const double fixed = normal * (1 << weight_bits);
            taps.weight[i * taps.stride + k] = static_cast<std::int32_t>(normal < 0 ? fixed - 0.5 : fixed + 0.5);
        }
        taps.first[i] = static_cast<std::int32_t>(first);
        taps.count[i] = static_cast<std::int32_t>(end - first);
    }
    split(taps);
    return taps;
}

}  // namespace striate
