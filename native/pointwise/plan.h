// Convolution with 1×1 filters: a matrix product of the images as they lie.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm pointwise_algorithm;

}  // namespace striate
