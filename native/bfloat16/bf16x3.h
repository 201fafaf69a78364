// Convolutions in float32 by three products of bfloat16 numbers (product.h), as algorithms among others.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm direct_bf16x3_algorithm, im2col_bf16x3_algorithm, winograd2_bf16x3_algorithm,
    winograd4_bf16x3_algorithm;

}  // namespace striate
