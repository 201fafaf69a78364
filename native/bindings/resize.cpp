// resize: check, release the GIL, resample into a new array.
#include "resize/resize.h"

#include <nanobind/stl/string.h>

#include <memory>

#include "bindings/arrays.h"

namespace striate::bindings {

namespace {

constexpr std::int64_t largest_side = 1 << 24;  // of both images: beyond any photograph; sums stay far from overflow
constexpr std::int64_t largest_output = std::int64_t{1} << 40;  // values

Filter filter_named(const std::string& name) {
    if (name == "box") return Filter::box;
    if (name == "bilinear") return Filter::bilinear;
    if (name == "bicubic") return Filter::bicubic;
    if (name == "lanczos") return Filter::lanczos;
    value_error("resize", "unknown filter '" + name + "'; choose from box, bilinear, bicubic, lanczos");
}

nb::ndarray<nb::numpy, std::uint8_t> resized(nb::handle image, nb::handle height, nb::handle width,
                                             const std::string& filter, nb::handle isa) {
    const auto in = contiguous<std::uint8_t>(image, 3, "resize", "image", "uint8[H, W, C]");
    const std::int64_t out_height = whole_number(height, 1, largest_side, "resize", "height");
    const std::int64_t out_width = whole_number(width, 1, largest_side, "resize", "width");
    const Filter shape = filter_named(filter);
    const Isa with = isa_of(isa, "resize");
    if (in.size() == 0) value_error("resize", "image is empty: " + described(AnyArray(in)));
    if (in.shape(0) > largest_side || in.shape(1) > largest_side) {
        value_error("resize",
                    "image is larger than " + std::to_string(largest_side) + " px: " + described(AnyArray(in)));
    }
    const auto channels = static_cast<std::int64_t>(in.shape(2));
    if (channels > largest_output / (out_height * out_width)) {
        value_error("resize", std::to_string(out_height) + " × " + std::to_string(out_width) + " × " +
                                  std::to_string(channels) + " values are more than memory holds");
    }
    auto pixels = std::make_unique_for_overwrite<std::uint8_t[]>(out_height * out_width * channels);
    {
        const WithoutGil released;
        resize(in.data(), static_cast<std::int64_t>(in.shape(0)), static_cast<std::int64_t>(in.shape(1)), channels,
               pixels.get(), out_height, out_width, shape, with);
    }
    nb::capsule owner(pixels.get(), [](void* pointer) noexcept { delete[] static_cast<std::uint8_t*>(pointer); });
    return {pixels.release(),
            {static_cast<std::size_t>(out_height), static_cast<std::size_t>(out_width), in.shape(2)},
            owner};
}

}  // namespace

void define_resize(nb::module_& module) {
    module.def("resize", &resized, nb::arg("image").none(), nb::arg("height").none(), nb::arg("width").none(),
               nb::arg("filter") = "bilinear", nb::kw_only(), nb::arg("isa") = nb::none(),
               "uint8[height, width, C]: `image` uint8[H, W, C] resampled with antialiasing, as Pillow does, bit for "
               "bit. filter: box, bilinear, bicubic, lanczos.");
}

}  // namespace striate::bindings
