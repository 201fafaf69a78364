// Convolution by im2col as it is taught: the matrix first, whole, then one product per image.
#pragma once

#include "conv/plan.h"

namespace striate {

// With `levels` of Strassen's halving of the product; then images that are the matrix already (1×1 filters, NCHW) are
// read where they lie, and a result in NCHW is written where it goes.
std::unique_ptr<ImagePlan> matrix_forward(const ConvShape& shape, const ConvOptions& options, int levels = 0);
std::unique_ptr<ImagePlan> matrix_backward_data(const ConvShape& shape, const ConvOptions& options);
std::unique_ptr<FilterPlan> matrix_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
