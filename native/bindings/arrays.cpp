#include "bindings/arrays.h"

#include <nanobind/stl/string.h>

#include "threads/pool.h"

namespace striate::bindings {

namespace {

std::string dtype_name(nb::dlpack::dtype dtype) {
    std::string kind = "dtype code " + std::to_string(dtype.code) + " of bits ";
    switch (static_cast<nb::dlpack::dtype_code>(dtype.code)) {
        case nb::dlpack::dtype_code::Int: kind = "int"; break;
        case nb::dlpack::dtype_code::UInt: kind = "uint"; break;
        case nb::dlpack::dtype_code::Float: kind = "float"; break;
        case nb::dlpack::dtype_code::Bfloat: kind = "bfloat"; break;
        case nb::dlpack::dtype_code::Complex: kind = "complex"; break;
        case nb::dlpack::dtype_code::Bool: return "bool";
        default: break;
    }
    return kind + std::to_string(dtype.bits);
}

bool is_contiguous(const AnyArray& array) {
    if (array.size() == 0) return true;
    std::int64_t step = 1;
    for (std::size_t axis = array.ndim(); axis-- > 0;) {
        if (array.shape(axis) != 1 && array.stride(axis) != step) return false;
        step *= static_cast<std::int64_t>(array.shape(axis));
    }
    return true;
}

}  // namespace

std::string class_of(nb::handle given) { return nb::cast<std::string>(nb::str(given.type().attr("__name__"))); }

std::string listed(const std::int64_t* values, std::size_t count) {
    std::string text = "(";
    for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(values[i]);
    return text + ")";
}

std::string described(const AnyArray& array) {
    std::string text = dtype_name(array.dtype()) + "[";
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
        text += (axis > 0 ? ", " : "") + std::to_string(array.shape(axis));
    }
    return text + "]";
}

void value_error(const std::string& where, const std::string& problem) {
    throw nb::value_error((where + ": " + problem).c_str());
}

void type_error(const std::string& where, const std::string& problem) {
    throw nb::type_error((where + ": " + problem).c_str());
}

void index_error(const std::string& where, const std::string& problem) {
    throw nb::index_error((where + ": " + problem).c_str());
}

template <typename T>
nb::ndarray<const T> contiguous(nb::handle given, std::size_t ndim, const std::string& where, const std::string& what,
                                const std::string& expected) {
    AnyArray array;
    if (!nb::try_cast(given, array, false)) {
        type_error(where, what + " must be an array " + expected + " in main memory, not " + class_of(given));
    }
    if (array.dtype() != nb::dtype<T>() || array.ndim() != ndim) {
        type_error(where, what + " must be " + expected + ", not " + described(array));
    }
    if (!is_contiguous(array)) {
        value_error(where, what + " must be contiguous, not " + described(array) + " with strides " +
                               listed(array.stride_ptr(), ndim) + " (in values); copy it with numpy.ascontiguousarray");
    }
    return nb::ndarray<const T>(array);
}

template nb::ndarray<const std::uint8_t> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                                    const std::string&);
template nb::ndarray<const std::int32_t> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                                    const std::string&);
template nb::ndarray<const std::uint32_t> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                                     const std::string&);
template nb::ndarray<const std::int64_t> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                                    const std::string&);
template nb::ndarray<const float> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                             const std::string&);
template nb::ndarray<const double> contiguous(nb::handle, std::size_t, const std::string&, const std::string&,
                                              const std::string&);

std::int64_t whole_number(nb::handle given, std::int64_t low, std::int64_t high, const std::string& where,
                          const std::string& what) {
    const auto index = nb::steal<nb::object>(PyNumber_Index(given.ptr()));
    if (!index.is_valid()) {
        PyErr_Clear();
        type_error(where, what + " must be a whole number, not " + class_of(given));
    }
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0 || value < low || value > high) {
        value_error(where, what + " must be from " + std::to_string(low) + " to " + std::to_string(high) + ", not " +
                               nb::cast<std::string>(nb::str(index)));
    }
    return value;
}

PixelLayout pixel_layout_of(const AnyArray& out, const std::string& where) {
    const auto follows = [&](const std::int64_t (&steps)[4]) {
        for (std::size_t axis = 0; axis < 4; ++axis) {
            if (out.shape(axis) > 1 && out.stride(axis) != steps[axis]) return false;
        }
        return true;
    };
    const auto channels = static_cast<std::int64_t>(out.shape(1)), height = static_cast<std::int64_t>(out.shape(2)),
               width = static_cast<std::int64_t>(out.shape(3));
    const std::int64_t planar[4] = {channels * height * width, height * width, width, 1};
    const std::int64_t interleaved[4] = {channels * height * width, 1, width * channels, channels};
    if (out.size() == 0 || follows(planar)) return PixelLayout::planar;
    if (follows(interleaved)) return PixelLayout::interleaved;
    value_error(where, "out must be contiguous or channels-last, strides " + listed(planar, 4) + " or " +
                           listed(interleaved, 4) + " in values, not " + listed(out.stride_ptr(), 4));
}

Isa isa_of(nb::handle given, const std::string& where) {
    if (given.is_none()) return chosen_isa();
    std::string asked;
    if (!nb::try_cast(given, asked)) type_error(where, "isa must be a name or None, not " + class_of(given));
    return isa_named(asked, where + ": isa");
}

int threads_of(nb::handle given, const std::string& where) {
    return static_cast<int>(whole_number(given, 1, max_threads, where, "threads"));
}

}  // namespace striate::bindings
