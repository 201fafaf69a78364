// Direct convolution: the definition's own sums, held in registers; no transform, no matrix of patches.
//
// What it needs beside images and weights is a few padded rows of the images. Any kernel, stride, dilation and groups,
// in all three passes (docs/algorithms/direct.md).
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm direct_algorithm;

}  // namespace striate
