// Convolution as one matrix product: im2col, with the matrix in memory and without.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm im2col_algorithm;         // the matrix is made, then multiplied (matrix.cpp)
extern const ConvAlgorithm im2col_packed_algorithm;  // it is made in panels, as the product needs them (product.cpp)

}  // namespace striate
