// What multiplies bfloat16 numbers: an instruction set of native/dispatch, and what the processor has beyond it.
#pragma once

#include <string>
#include <vector>

#include "bfloat16/kernels.h"
#include "dispatch/isa.h"

namespace striate {

enum class BfloatUnit { portable, avx2, avx512, avx512_bf16, amx };

const char* name(BfloatUnit unit);

// Those of an instruction set that this machine can run, from the least to the most capable; never none. AMX's tiles
// are the system's to grant: it is asked for them once.
std::vector<BfloatUnit> bfloat_units(Isa isa);

// The unit of that name, if this machine can run it. Throws UnknownIsa, naming what is available.
BfloatUnit bfloat_unit_named(const std::string& name, const std::string& asked_by);

template <typename Element>
const BfloatKernelsOf<Element>& bfloat_kernels_of(BfloatUnit unit);

}  // namespace striate
