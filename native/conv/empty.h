// Plans for shapes with nothing to sum: no image, no map, no output pixel.
#pragma once

#include "conv/plan.h"

namespace striate {

// The result is relu(bias + residual) wherever it has pixels; zeros for a gradient.
std::unique_ptr<ImagePlan> empty_images(Pass pass, const ConvShape& shape, const ConvOptions& options);

// Zeros.
std::unique_ptr<FilterPlan> empty_filters(const ConvShape& shape);

}  // namespace striate
