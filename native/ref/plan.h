// The reference loops (conv.h) behind the signature that every algorithm has.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm reference_algorithm;

}  // namespace striate
