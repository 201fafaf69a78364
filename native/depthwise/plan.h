// Depthwise convolution: each group has one input map, or one output map.
//
// No sum over maps, so no matrix product: a few multiply-adds for each pixel that is read, and time is what memory
// takes (docs/algorithms/depthwise.md).
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm depthwise_algorithm;

}  // namespace striate
