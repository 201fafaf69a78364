// The reference convolution and its derivatives: check, release the GIL, sum into a new array.
#include "ref/conv.h"

#include <array>
#include <memory>

#include "bindings/conv_shape.h"

namespace striate::bindings {

namespace {

template <typename T>
using Array4 = nb::ndarray<const T>;

template <typename T>
Array4<T> maps(nb::handle given, const std::string& where, const char* what) {
    const std::string type = sizeof(T) == 4 ? "float32" : "float64";
    return contiguous<T>(given, 4, where, what, type + "[N, C, H, W], as the first array is");
}

template <typename T>
std::int64_t side(const Array4<T>& array, std::size_t axis) {
    return static_cast<std::int64_t>(array.shape(axis));
}

// A new NumPy array [a, b, c, d], filled by `fill(values)` without the GIL.
template <typename T, typename Fill>
nb::object made(const std::string& where, std::array<std::int64_t, 4> shape, Fill fill) {
    std::int64_t count = 1;
    for (const std::int64_t length : shape) {
        if (length > 0 && count > largest_output / length) value_error(where, "the result is larger than any memory");
        count *= length;
    }
    auto values = std::make_unique_for_overwrite<T[]>(count);
    {
        const WithoutGil released;
        fill(values.get());
    }
    nb::capsule owner(values.get(), [](void* pointer) noexcept { delete[] static_cast<T*>(pointer); });
    const std::size_t lengths[4] = {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1]),
                                    static_cast<std::size_t>(shape[2]), static_cast<std::size_t>(shape[3])};
    return nb::cast(nb::ndarray<nb::numpy, T>(values.release(), 4, lengths, owner));
}

template <typename T>
nb::object forward(nb::handle x, nb::handle weight, nb::handle bias, const Settings& given) {
    const std::string where = "reference_conv2d";
    const auto images = maps<T>(x, where, "x"), filters = maps<T>(weight, where, "weight");
    const ConvShape shape = shape_of(where, given, side(images, 0), side(images, 1), {side(images, 2), side(images, 3)},
                                     side(filters, 0), side(filters, 1), {side(filters, 2), side(filters, 3)});
    nb::ndarray<const T> offsets;
    if (!bias.is_none()) {
        offsets = contiguous<T>(bias, 1, where, "bias", "one number per filter, of the type of x");
        if (static_cast<std::int64_t>(offsets.shape(0)) != shape.out) {
            value_error(where, "bias has " + std::to_string(offsets.shape(0)) + " numbers for " +
                                   std::to_string(shape.out) + " filters");
        }
    }
    return made<T>(where, {shape.batch, shape.out, shape.rows.out(), shape.columns.out()}, [&](T* y) {
        reference::conv(shape, images.data(), filters.data(), bias.is_none() ? nullptr : offsets.data(), y);
    });
}

template <typename T>
void check_gradient(const std::string& where, const ConvShape& shape, const Array4<T>& dy) {
    const std::int64_t wanted[4] = {shape.batch, shape.out, shape.rows.out(), shape.columns.out()};
    for (std::size_t axis = 0; axis < 4; ++axis) {
        if (side(dy, axis) != wanted[axis]) {
            value_error(where, "grad is " + described(AnyArray(dy)) + "; the convolution gives " + listed(wanted, 4));
        }
    }
}

template <typename T>
nb::object backward_data(nb::handle grad, nb::handle weight, nb::handle input_size, const Settings& given) {
    const std::string where = "reference_conv2d_backward_data";
    const auto dy = maps<T>(grad, where, "grad"), filters = maps<T>(weight, where, "weight");
    const auto size = pair_of(input_size, 1, where, "input_size", "(height, width)");
    const std::int64_t groups = whole_number(given.groups, 1, largest_side, where, "groups");
    const ConvShape shape = shape_of(where, given, side(dy, 0), side(filters, 1) * groups, size, side(filters, 0),
                                     side(filters, 1), {side(filters, 2), side(filters, 3)});
    check_gradient(where, shape, dy);
    return made<T>(where, {shape.batch, shape.in, size[0], size[1]},
                   [&](T* dx) { reference::conv_backward_data(shape, dy.data(), filters.data(), dx); });
}

template <typename T>
nb::object backward_weights(nb::handle x, nb::handle grad, nb::handle kernel_size, const Settings& given) {
    const std::string where = "reference_conv2d_backward_weights";
    const auto images = maps<T>(x, where, "x"), dy = maps<T>(grad, where, "grad");
    const auto kernel = pair_of(kernel_size, 1, where, "kernel_size", "(height, width)");
    const std::int64_t groups = whole_number(given.groups, 1, largest_side, where, "groups");
    const ConvShape shape = shape_of(where, given, side(images, 0), side(images, 1), {side(images, 2), side(images, 3)},
                                     side(dy, 1), side(images, 1) / groups, kernel);
    check_gradient(where, shape, dy);
    return made<T>(where, {shape.out, shape.group_in(), kernel[0], kernel[1]},
                   [&](T* dw) { reference::conv_backward_weights(shape, images.data(), dy.data(), dw); });
}

// Whether the arrays are to be float64: as the first one is.
bool in_double(nb::handle first) {
    AnyArray array;
    return nb::try_cast(first, array, false) && array.dtype() == nb::dtype<double>();
}

}  // namespace

void define_conv(nb::module_& module) {
    const auto define = [&](const char* name, auto function, const char* second, const char* third,
                            const char* documentation) {
        module.def(
            name,
            [function](nb::handle first, nb::handle second, nb::handle third, nb::handle stride, nb::handle padding,
                       nb::handle dilation, nb::handle groups) {
                return function(first, second, third, Settings{stride, padding, dilation, groups});
            },
            nb::arg().none(), nb::arg(second).none(), nb::arg(third).none(), nb::kw_only(), nb::arg("stride").none(),
            nb::arg("padding").none(), nb::arg("dilation").none(), nb::arg("groups").none(), documentation);
    };
    define(
        "reference_conv2d",
        [](nb::handle x, nb::handle weight, nb::handle bias, const Settings& given) {
            return in_double(x) ? forward<double>(x, weight, bias, given) : forward<float>(x, weight, bias, given);
        },
        "weight", "bias", "The convolution of x [N, C, H, W] with weight [K, C / groups, h, w], by the obvious loops.");
    define(
        "reference_conv2d_backward_data",
        [](nb::handle grad, nb::handle weight, nb::handle size, const Settings& given) {
            return in_double(grad) ? backward_data<double>(grad, weight, size, given)
                                   : backward_data<float>(grad, weight, size, given);
        },
        "weight", "input_size", "The gradient with respect to x, from that with respect to the output.");
    define(
        "reference_conv2d_backward_weights",
        [](nb::handle x, nb::handle grad, nb::handle size, const Settings& given) {
            return in_double(x) ? backward_weights<double>(x, grad, size, given)
                                : backward_weights<float>(x, grad, size, given);
        },
        "grad", "kernel_size", "The gradient with respect to the weights, from that with respect to the output.");
}

}  // namespace striate::bindings
