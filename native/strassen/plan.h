// Convolution through Strassen's product: im2col's matrix, or the image itself under 1×1 filters, in seven products of
// halves where the plain algorithm takes eight.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm strassen_algorithm;

}  // namespace striate
