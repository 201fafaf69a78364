// matmul: check, release the GIL, multiply into a new array.
#include "gemm/gemm.h"

#include <memory>

#include "bindings/arrays.h"
#include "memory/arena.h"
#include "strassen/strassen.h"

namespace striate::bindings {

namespace {

constexpr std::int64_t most_levels = 8;                         // 18⁸ is more error than a float has bits for
constexpr std::int64_t largest_output = std::int64_t{1} << 40;  // values

// A matrix of floats with any strides.
struct Operand {
    nb::ndarray<const float> array;
    std::int64_t rows, columns;
    Matrix matrix;
};

Operand operand(nb::handle given, const std::string& what) {
    AnyArray array;
    if (!nb::try_cast(given, array, false)) {
        type_error("matmul", what + " must be a matrix of float32 in main memory, not " + class_of(given));
    }
    if (array.dtype() != nb::dtype<float>() || array.ndim() != 2) {
        type_error("matmul", what + " must be float32 with two axes, not " + described(array));
    }
    const nb::ndarray<const float> held(array);
    return {held,
            static_cast<std::int64_t>(held.shape(0)),
            static_cast<std::int64_t>(held.shape(1)),
            {held.data(), held.stride(0), held.stride(1)}};
}

nb::ndarray<nb::numpy, float> matmul(nb::handle a, nb::handle b, nb::handle threads, nb::handle isa,
                                     nb::handle levels) {
    const Operand left = operand(a, "a"), right = operand(b, "b");
    const int count = threads_of(threads, "matmul");
    const Isa with = isa_of(isa, "matmul");
    const int halvings = static_cast<int>(whole_number(levels, 0, most_levels, "matmul", "levels"));
    if (with == Isa::reference) value_error("matmul", "has no reference kernels; numpy.matmul in float64 is one");
    if (left.columns != right.rows) {
        value_error("matmul",
                    "a has " + std::to_string(left.columns) + " columns and b " + std::to_string(right.rows) + " rows");
    }
    if (right.columns > 0 && left.rows > largest_output / right.columns) {
        value_error("matmul", "the result is larger than any memory");
    }
    auto c = std::make_unique_for_overwrite<float[]>(left.rows * right.columns);
    {
        const WithoutGil released;
        const std::int64_t floats = strassen_workspace(left.rows, right.columns, left.columns, halvings, with, count);
        const Floats64 workspace = aligned_floats(floats);
        strassen({.m = left.rows,
                  .n = right.columns,
                  .k = left.columns,
                  .a = left.matrix,
                  .b = right.matrix,
                  .c = c.get(),
                  .c_row = right.columns},
                 halvings, workspace.get(), with, count);
    }
    nb::capsule owner(c.get(), [](void* pointer) noexcept { delete[] static_cast<float*>(pointer); });
    return {c.release(), {static_cast<std::size_t>(left.rows), static_cast<std::size_t>(right.columns)}, owner};
}

}  // namespace

void define_gemm(nb::module_& module) {
    module.def("matmul", &matmul, nb::arg("a").none(), nb::arg("b").none(), nb::arg("threads") = 1, nb::kw_only(),
               nb::arg("isa") = nb::none(), nb::arg("levels") = 0,
               "float32[M, N]: the product of a float32[M, K] and b float32[K, N].");
}

}  // namespace striate::bindings
