// What Python hands over, checked: dtype, shape, memory layout; a message of one line when it does not fit.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string>

#include "bindings/gil.h"
#include "convert/batch.h"
#include "dispatch/isa.h"

namespace striate::bindings {

namespace nb = nanobind;

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;  // in main memory: others are no arrays here

// "float32[2, 3]": how arrays are written in messages.
std::string described(const AnyArray& array);
std::string class_of(nb::handle given);                             // "ndarray"
std::string listed(const std::int64_t* values, std::size_t count);  // "(1, 2, 3)"

// The error "<where>: <problem>", as ValueError, TypeError and IndexError.
[[noreturn]] void value_error(const std::string& where, const std::string& problem);
[[noreturn]] void type_error(const std::string& where, const std::string& problem);
[[noreturn]] void index_error(const std::string& where, const std::string& problem);

// A contiguous array of T with `ndim` axes, as `expected` ("uint8[N, H, W, C]") tells the user. `what` is the
// argument's name. Raises TypeError for what is no such array, ValueError for one that is not contiguous.
template <typename T>
nb::ndarray<const T> contiguous(nb::handle given, std::size_t ndim, const std::string& where, const std::string& what,
                                const std::string& expected);

// How an output [B, C, h, w] lies in memory: contiguous or channels-last. Raises ValueError for other strides.
PixelLayout pixel_layout_of(const AnyArray& out, const std::string& where);

// A whole number within [low, high], as TypeError and ValueError.
std::int64_t whole_number(nb::handle given, std::int64_t low, std::int64_t high, const std::string& where,
                          const std::string& what);

// `isa=None` is the chosen one. Raises ValueError.
Isa isa_of(nb::handle given, const std::string& where);

int threads_of(nb::handle given, const std::string& where);

void define_augment(nb::module_& module);
void define_conv(nb::module_& module);
void define_conv_bfloat16(nb::module_& module);
void define_conv_plan(nb::module_& module);
void define_convert(nb::module_& module);
void define_gemm(nb::module_& module);
void define_random(nb::module_& module);
void define_resize(nb::module_& module);
void define_system(nb::module_& module);

}  // namespace striate::bindings
