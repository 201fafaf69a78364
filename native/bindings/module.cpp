// `striate._native`: the Python face of the core. Nothing outside this folder knows Python.
#include "bindings/arrays.h"

NB_MODULE(_native, module) {
    using namespace striate::bindings;
    module.doc() =
        "The native core of striate: pixels to tensors, resizing, counter-based random numbers, convolutions.";
    nanobind::set_leak_warnings(false);  // striate.conv caches plans until the process ends
    nanobind::register_exception_translator([](const std::exception_ptr& thrown, void*) {
        try {
            std::rethrow_exception(thrown);
        } catch (const striate::UnknownIsa& error) {
            PyErr_SetString(PyExc_ValueError, error.what());
        }
    });
    define_system(module);
    define_random(module);
    define_convert(module);
    define_resize(module);
    define_augment(module);
    define_gemm(module);
    define_conv(module);
    define_conv_plan(module);
    define_conv_bfloat16(module);
}
