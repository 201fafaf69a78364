// warp: check every argument, hold every array, release the GIL, resample.
#include "augment/warp.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "augment/map.h"
#include "bindings/arrays.h"

namespace striate::bindings {

namespace {

constexpr std::int64_t largest_side = 1 << 24;  // of the output: beyond any photograph; products stay far from overflow

constexpr float largest_factor = 1e30f;  // times bytes, and summed, it is still no infinity

using Bytes = nb::ndarray<const std::uint8_t>;
using Floats = nb::ndarray<const float>;
using Doubles = nb::ndarray<const double>;
using Output = nb::ndarray<nb::device::cpu>;

std::string name_of(nb::handle given, const std::string& where, const std::string& what) {
    std::string name;
    if (!nb::try_cast(given, name, false)) type_error(where, what + " must be a name, not " + class_of(given));
    return name;
}

Sampler sampler_of(nb::handle given, const std::string& where) {
    const std::string name = name_of(given, where, "filter");
    if (name == "nearest") return Sampler::nearest;
    if (name == "bilinear") return Sampler::bilinear;
    if (name == "bicubic") return Sampler::bicubic;
    value_error(where, "unknown filter '" + name + "'; choose from nearest, bilinear, bicubic");
}

Border border_of(nb::handle given, const std::string& where) {
    const std::string name = name_of(given, where, "border");
    if (name == "constant") return Border::constant;
    if (name == "edge") return Border::edge;
    if (name == "reflect") return Border::reflect;
    value_error(where, "unknown border '" + name + "'; choose from constant, edge, reflect");
}

Output output(nb::handle given, const std::string& where) {
    const std::string expected = "float32, bfloat16 or uint8 [B, C, h, w]";
    AnyArray seen;
    if (!nb::try_cast(given, seen, false)) {
        type_error(where, "out must be an array " + expected + " in main memory, not " + class_of(given));
    }
    const bool known = seen.dtype() == nb::dtype<float>() || seen.dtype() == nb::dtype<std::uint8_t>() ||
                       (seen.dtype().code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat) &&
                        seen.dtype().bits == 16 && seen.dtype().lanes == 1);
    if (!known || seen.ndim() != 4) type_error(where, "out must be " + expected + ", not " + described(seen));
    if (seen.shape(1) != 1 && seen.shape(1) != 3) {
        value_error(where, "out must have 1 or 3 channels, not " + described(seen));
    }
    if (seen.shape(2) > largest_side || seen.shape(3) > largest_side) {
        value_error(where, "out is too large: " + described(seen));
    }
    Output out;
    if (!nb::try_cast(given, out, false)) value_error(where, "out is read-only");
    return out;
}

Value value_of(const Output& out) {
    if (out.dtype() == nb::dtype<float>()) return Value::float32;
    return out.dtype() == nb::dtype<std::uint8_t>() ? Value::uint8 : Value::bfloat16;
}

template <typename T>
void expect_shape(const nb::ndarray<const T>& array, std::initializer_list<std::size_t> shape, const std::string& where,
                  const std::string& what, const Output& out) {
    if (std::equal(shape.begin(), shape.end(), array.shape_ptr())) return;
    const std::vector<std::int64_t> wanted(shape.begin(), shape.end());
    value_error(where, what + " must have the shape " + listed(wanted.data(), wanted.size()) + " for out " +
                           described(AnyArray(out)) + ", not " + described(AnyArray(array)));
}

// An argument that may be None.
template <typename T>
std::optional<nb::ndarray<const T>> optional(nb::handle given, std::initializer_list<std::size_t> shape,
                                             const std::string& where, const std::string& what,
                                             const std::string& expected, const Output& out) {
    if (given.is_none()) return std::nullopt;
    const auto array = contiguous<T>(given, shape.size(), where, what, expected);
    expect_shape(array, shape, where, what, out);
    return array;
}

void expect_values(const Floats& array, const std::string& where, const std::string& what, float low, float high,
                   const std::string& allowed) {
    const auto fits = [&](float v) { return low <= v && v <= high; };
    const float* end = array.data() + array.size();
    const float* wrong = std::find_if_not(array.data(), end, fits);
    if (wrong != end) {
        value_error(where, what + "[" + std::to_string(wrong - array.data()) + "] must be " + allowed + ", not " +
                               std::to_string(*wrong));
    }
}

void warp_batch(nb::handle images, nb::handle geometry, nb::handle lens, nb::handle colour, nb::handle scale,
                nb::handle shift, nb::handle fill, nb::handle out, nb::handle threads, nb::handle filter,
                nb::handle antialias, nb::handle border, nb::handle isa) {
    const std::string where = "warp";
    nb::list entries;
    if (!nb::try_cast(images, entries, false)) {
        type_error(where, "images must be a list of arrays uint8[H, W, C], not " + class_of(images));
    }
    Output to = output(out, where);
    const std::size_t size = to.shape(0), channels = to.shape(1);
    const auto height = static_cast<std::int64_t>(to.shape(2)), width = static_cast<std::int64_t>(to.shape(3));
    const Doubles maps = contiguous<double>(geometry, 3, where, "geometry", "float64[B, 3, 3]");
    expect_shape(maps, {size, 3, 3}, where, "geometry", to);
    const auto lenses = optional<double>(lens, {size, 2}, where, "lens", "float64[B, 2] or None", to);
    const auto colours =
        optional<float>(colour, {size, channels, channels + 1}, where, "colour", "float32[B, C, C + 1] or None", to);
    const Floats scales = contiguous<float>(scale, 1, where, "scale", "float32[C]");
    const Floats shifts = contiguous<float>(shift, 1, where, "shift", "float32[C]");
    const Floats fills = contiguous<float>(fill, 1, where, "fill", "float32[C]");
    expect_shape(scales, {channels}, where, "scale", to);
    expect_shape(shifts, {channels}, where, "shift", to);
    expect_shape(fills, {channels}, where, "fill", to);
    expect_values(fills, where, "fill", 0.0f, 255.0f, "from 0 to 255");
    if (colours) expect_values(*colours, where, "colour", -largest_factor, largest_factor, "from -1e30 to 1e30");
    expect_values(scales, where, "scale", -largest_factor, largest_factor, "from -1e30 to 1e30");
    expect_values(shifts, where, "shift", -largest_factor, largest_factor, "from -1e30 to 1e30");
    if (value_of(to) == Value::uint8) {
        expect_values(scales, where, "scale", 1.0f, 1.0f, "1 where out is uint8");
        expect_values(shifts, where, "shift", 0.0f, 0.0f, "0 where out is uint8");
    }
    bool smooth = false;
    if (!nb::try_cast(antialias, smooth, false)) {
        type_error(where, "antialias must be True or False, not " + class_of(antialias));
    }
    const Isa with = isa_of(isa, where);
    const int helpers = threads_of(threads, where);
    const Warp call = {.size = static_cast<std::int64_t>(size),
                       .channels = static_cast<std::int64_t>(channels),
                       .height = height,
                       .width = width,
                       .layout = pixel_layout_of(AnyArray(to), where),
                       .value = value_of(to),
                       .sampler = sampler_of(filter, where),
                       .antialias = smooth,
                       .border = border_of(border, where),
                       .geometry = maps.data(),
                       .lens = lenses ? lenses->data() : nullptr,
                       .colour = colours ? colours->data() : nullptr,
                       .scale = scales.data(),
                       .shift = shifts.data(),
                       .fill = fills.data(),
                       .out = to.data()};
    if (entries.size() != size) {
        value_error(where, "images must have one entry for each of the " + std::to_string(size) +
                               " images of out, not " + std::to_string(entries.size()));
    }
    std::vector<Bytes> held;  // keeps every array alive while the GIL is released, whatever happens to the list
    std::vector<Image> gathered;
    for (std::size_t b = 0; b < size; ++b) {
        const std::string what = "images[" + std::to_string(b) + "]";
        const Bytes image = contiguous<std::uint8_t>(entries[b], 3, where, what, "uint8[H, W, C]");
        if (image.shape(2) != channels) {
            value_error(where, what + " has " + std::to_string(image.shape(2)) + " channels and out has " +
                                   std::to_string(channels));
        }
        if (image.size() == 0) value_error(where, what + " is empty: " + described(AnyArray(image)));
        const std::string problem =
            refusal(maps.data() + 9 * b, lenses ? lenses->data() + 2 * b : nullptr, height, width);
        if (!problem.empty()) value_error(where, "geometry[" + std::to_string(b) + "] " + problem);
        gathered.push_back(
            {image.data(), static_cast<std::int64_t>(image.shape(0)), static_cast<std::int64_t>(image.shape(1))});
        held.push_back(image);
    }
    const WithoutGil released;
    warp(call, gathered.data(), with, helpers);
}

}  // namespace

void define_augment(nb::module_& module) {
    module.def("warp", &warp_batch, nb::arg("images").none(), nb::arg("geometry").none(), nb::arg("lens").none(),
               nb::arg("colour").none(), nb::arg("scale").none(), nb::arg("shift").none(), nb::arg("fill").none(),
               nb::arg("out").none(), nb::arg("threads").none(), nb::kw_only(), nb::arg("filter").none(),
               nb::arg("antialias").none(), nb::arg("border").none(), nb::arg("isa") = nb::none(),
               "out[b] = images[b] resampled once under geometry[b] and lens[b], through colour[b], times scale plus "
               "shift.");
}

}  // namespace striate::bindings
