// The measured peak of this machine: what every kernel's speed is a share of.
#pragma once

#include <cstdint>

#include "dispatch/isa.h"

namespace striate {

// Floating-point operations a second (two per multiply-add) of `threads` threads that do nothing else, for about
// `seconds`.
double peak_flops(Isa isa, int threads, double seconds);

// `rounds` rounds of that loop on each of `threads` threads: a fixed piece of work, to take turns with others. Returns
// its operations.
double multiply_adds(Isa isa, int threads, std::int64_t rounds);

}  // namespace striate
