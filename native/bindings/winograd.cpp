// winograd_conv2d: check, release the GIL, transform the filters, convolve into a new array of the layout of x.
#include "winograd/conv.h"

#include <memory>

#include "bindings/conv_shape.h"

namespace striate::bindings {

namespace {

struct Layout4 {
    Strides strides;
    std::int64_t image;
};

Layout4 planar(std::int64_t maps, std::int64_t height, std::int64_t width) {
    return {{.map = height * width, .row = width, .pixel = 1}, maps * height * width};
}

Layout4 interleaved(std::int64_t maps, std::int64_t height, std::int64_t width) {
    return {{.map = 1, .row = width * maps, .pixel = maps}, maps * height * width};
}

nb::object winograd_conv2d(nb::handle x, nb::handle weight, nb::handle bias, nb::handle padding, nb::handle groups,
                           nb::handle m, bool relu, bool channels_last, nb::handle threads, nb::handle isa) {
    const std::string where = "winograd_conv2d";
    const char* images_are = channels_last ? "float32[N, H, W, C]" : "float32[N, C, H, W]";
    const auto images = contiguous<float>(x, 4, where, "x", images_are);
    const auto filters = contiguous<float>(weight, 4, where, "weight", "float32[K, C / groups, 3, 3]");
    const auto side = [](const auto& array, std::size_t axis) { return static_cast<std::int64_t>(array.shape(axis)); };
    const std::size_t maps_axis = channels_last ? 3 : 1, rows_axis = channels_last ? 1 : 2;
    const nb::tuple ones = nb::make_tuple(1, 1);
    const ConvShape shape =
        shape_of(where, Settings{ones, padding, ones, groups}, side(images, 0), side(images, maps_axis),
                 {side(images, rows_axis), side(images, rows_axis + 1)}, side(filters, 0), side(filters, 1),
                 {side(filters, 2), side(filters, 3)});
    if (shape.rows.kernel != 3 || shape.columns.kernel != 3) {
        value_error(where, "filters are " + std::to_string(shape.rows.kernel) + "×" +
                               std::to_string(shape.columns.kernel) + "; Winograd's convolution here is 3×3");
    }
    const auto chosen = static_cast<int>(whole_number(m, 2, 6, where, "m"));
    if (chosen % 2 != 0) value_error(where, "m must be 2, 4 or 6, not " + std::to_string(chosen));
    nb::ndarray<const float> offsets;
    if (!bias.is_none()) {
        offsets = contiguous<float>(bias, 1, where, "bias", "float32[K]");
        if (side(offsets, 0) != shape.out) {
            value_error(where, "bias has " + std::to_string(offsets.shape(0)) + " numbers for " +
                                   std::to_string(shape.out) + " filters");
        }
    }
    const int count = threads_of(threads, where);
    const Isa with = isa_of(isa, where);
    if (with == Isa::reference) value_error(where, "has no reference kernels; reference_conv2d is the reference");
    const std::int64_t height = shape.rows.out(), width = shape.columns.out();
    if (shape.batch > 0 && shape.out * height > largest_output / (shape.batch * width)) {
        value_error(where, "the result is larger than any memory");
    }

    auto y = std::make_unique_for_overwrite<float[]>(shape.batch * shape.out * height * width);
    {
        const nb::gil_scoped_release released;
        const auto layout = channels_last ? interleaved : planar;
        const Layout4 from = layout(shape.in, shape.rows.size, shape.columns.size), to = layout(shape.out, height, width);
        const WinogradConv conv(shape, filters.data(), chosen, with, count);
        const auto workspace = std::make_unique_for_overwrite<float[]>(conv.workspace());
        conv.run(images.data(), from.strides, from.image, bias.is_none() ? nullptr : offsets.data(), relu, y.get(),
                 to.strides, to.image, workspace.get());
    }
    nb::capsule owner(y.get(), [](void* pointer) noexcept { delete[] static_cast<float*>(pointer); });
    const auto length = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    const std::size_t nchw[4] = {length(shape.batch), length(shape.out), length(height), length(width)};
    const std::size_t nhwc[4] = {length(shape.batch), length(height), length(width), length(shape.out)};
    return nb::cast(nb::ndarray<nb::numpy, float>(y.release(), 4, channels_last ? nhwc : nchw, owner));
}

}  // namespace

void define_winograd(nb::module_& module) {
    module.def("winograd_conv2d", &winograd_conv2d, nb::arg("x").none(), nb::arg("weight").none(),
               nb::arg("bias").none(), nb::kw_only(), nb::arg("padding").none(), nb::arg("groups") = 1,
               nb::arg("m") = 4, nb::arg("relu") = false, nb::arg("channels_last") = false, nb::arg("threads") = 1,
               nb::arg("isa") = nb::none(), "A 3×3 convolution of stride 1 by Winograd's F(m×m, 3×3).");
}

}  // namespace striate::bindings
