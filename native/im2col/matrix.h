// Convolution by im2col as it is taught: the matrix first, whole, then one product per image.
#pragma once

#include "conv/plan.h"

namespace striate {

std::unique_ptr<ImagePlan> matrix_forward(const ConvShape& shape, const ConvOptions& options);
std::unique_ptr<ImagePlan> matrix_backward_data(const ConvShape& shape, const ConvOptions& options);
std::unique_ptr<FilterPlan> matrix_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
