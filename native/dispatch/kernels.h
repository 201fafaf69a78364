// The table of kernels of an instruction set, from those that each set's namespace holds under the same name.
#pragma once

#include "dispatch/isa.h"

#if defined(STRIATE_X86_KERNELS)
#define STRIATE_KERNELS_OF(isa, table) \
    ((isa) == Isa::avx512 ? avx512::table : (isa) == Isa::avx2 ? avx2::table : portable::table)
#else
#define STRIATE_KERNELS_OF(isa, table) (static_cast<void>(isa), portable::table)
#endif
