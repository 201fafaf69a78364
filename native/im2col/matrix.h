// Convolution by im2col as it is taught: the matrix first, whole, then one product per image.
#pragma once

#include "conv/plan.h"

namespace striate {

// With `levels` of Strassen's halving of the product. Forward, images that are the matrix already (1×1 filters, NCHW)
// are then read where they lie, and a result in NCHW is written where it goes.
std::unique_ptr<ImagePlan> matrix_forward(const ConvShape& shape, const ConvOptions& options, int levels);
std::unique_ptr<ImagePlan> matrix_backward_data(const ConvShape& shape, const ConvOptions& options, int levels);
std::unique_ptr<FilterPlan> matrix_filters(const ConvShape& shape, const ConvOptions& options, int levels);

}  // namespace striate
