// The gradient of the weights by Fourier transforms: correlations of tiles of x with tiles of dy, summed over all tiles
// and images while they are still components, so that each filter is transformed back once.
#pragma once

#include "conv/plan.h"

namespace striate {

std::unique_ptr<FilterPlan> fft_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
