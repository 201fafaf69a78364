// How far a result by Fourier transforms may be from the sum (docs/algorithms/fft.md derives it).
#pragma once

#include "conv/plan.h"

namespace striate {

double fft_error_bound(Pass pass, const ConvShape& shape);

}  // namespace striate
