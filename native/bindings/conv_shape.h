// The shape of a convolution from what Python gives: stride, padding, dilation, groups, and the sizes of the arrays.
#pragma once

#include <array>

#include "bindings/arrays.h"
#include "conv/shape.h"

namespace striate::bindings {

constexpr std::int64_t largest_side = std::int64_t{1} << 31;    // sums and products of sides stay far from overflow
constexpr std::int64_t largest_output = std::int64_t{1} << 40;  // values

struct Settings {
    nb::handle stride, padding, dilation,
        groups;  // (down, across), (top, bottom, left, right), (down, across), a number
};

using Pair = std::array<std::int64_t, 2>;  // (down, across)

// Two whole numbers from `low` on, as `expected` ("(height, width)") tells the user.
Pair pair_of(nb::handle given, std::int64_t low, const std::string& where, const std::string& what,
             const std::string& expected);

// The shape for `images` of `in` maps and `size` pixels, and `out` filters of `kernel` taps on `group_in` maps each.
// Raises TypeError and ValueError for settings that are none, and for what does not fit, with the numbers.
ConvShape shape_of(const std::string& where, const Settings& given, std::int64_t images, std::int64_t in, Pair size,
                   std::int64_t out, std::int64_t group_in, Pair kernel);

}  // namespace striate::bindings
