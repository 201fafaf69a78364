#include "bindings/conv_shape.h"

namespace striate::bindings {

namespace {

template <std::size_t Count>
std::array<std::int64_t, Count> numbers_of(nb::handle given, std::int64_t low, const std::string& where,
                                           const std::string& what, const std::string& expected) {
    nb::sequence entries;
    if (!nb::try_cast(given, entries, false) || nb::isinstance<nb::str>(given) || nb::len(entries) != Count) {
        type_error(where, what + " must be " + expected + ", not " + nb::cast<std::string>(nb::repr(given)));
    }
    std::array<std::int64_t, Count> numbers{};
    for (std::size_t i = 0; i < Count; ++i) {
        numbers[i] = whole_number(entries[i], low, largest_side, where, what + "[" + std::to_string(i) + "]");
    }
    return numbers;
}

}  // namespace

Pair pair_of(nb::handle given, std::int64_t low, const std::string& where, const std::string& what,
             const std::string& expected) {
    return numbers_of<2>(given, low, where, what, expected);
}

ConvShape shape_of(const std::string& where, const Settings& given, std::int64_t images, std::int64_t in, Pair size,
                   std::int64_t out, std::int64_t group_in, Pair kernel) {
    const auto stride = numbers_of<2>(given.stride, 1, where, "stride", "(down, across)");
    const auto padding = numbers_of<4>(given.padding, 0, where, "padding", "(top, bottom, left, right)");
    const auto dilation = numbers_of<2>(given.dilation, 1, where, "dilation", "(down, across)");
    const std::int64_t groups = whole_number(given.groups, 1, largest_side, where, "groups");
    const auto axis = [&](int i) {
        return Axis{.size = size[i],
                    .kernel = kernel[i],
                    .stride = stride[i],
                    .low = padding[2 * i],
                    .high = padding[2 * i + 1],
                    .dilation = dilation[i]};
    };
    const ConvShape shape{.batch = images, .in = in, .out = out, .groups = groups, .rows = axis(0), .columns = axis(1)};
    if (group_in * groups != in || out % groups != 0) {
        value_error(where, std::to_string(groups) + " groups of filters on " + std::to_string(group_in) +
                               " maps each, " + std::to_string(out) + " in all, do not fit images of " +
                               std::to_string(in) + " maps");
    }
    if (kernel[0] < 1 || kernel[1] < 1) value_error(where, "a filter has at least one tap along each axis");
    for (int i = 0; i < 2; ++i) {
        const Axis& one = i == 0 ? shape.rows : shape.columns;
        if (one.out() < 1) {
            value_error(where, std::string(i == 0 ? "height " : "width ") + std::to_string(one.size) + " + padding " +
                                   std::to_string(one.low + one.high) + " is less than the " +
                                   std::to_string(one.extent()) + " px that a filter spans");
        }
    }
    return shape;
}

}  // namespace striate::bindings
