// The measured peak of this machine: what every kernel's speed is a share of.
#pragma once

#include "dispatch/isa.h"

namespace striate {

// Floating-point operations a second (two per multiply-add) of `threads` threads that do nothing else, for about
// `seconds`.
double peak_flops(Isa isa, int threads, double seconds);

}  // namespace striate
