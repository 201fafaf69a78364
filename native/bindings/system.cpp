// What the machine has, and memory.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/arrays.h"
#include "memory/keep.h"

namespace striate::bindings {

void define_system(nb::module_& module) {
    module.def("isa", [] { return name(chosen_isa()); }, "The instruction set the kernels use.");
    module.def(
        "available_isas",
        [] {
            std::vector<std::string> names;
            for (const Isa isa : available_isas()) names.emplace_back(name(isa));
            return names;
        },
        "The instruction sets this machine can run, from the least to the most capable.");
    module.def("cpu_features", &cpu_features, "The processor features that matter here, enabled by the system.");
    module.def("keep_memory", &keep_memory, "glibc: keep freed blocks instead of returning them to the system.");
    module.def("return_memory", &return_memory, "glibc: return what is free now to the system.");
}

}  // namespace striate::bindings
