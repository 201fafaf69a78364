// The gradient of depthwise weights: each map's taps are sums over its own pixels. Threads share out the maps, so the
// order of every sum is the same for any number of them.
#pragma once

#include "conv/plan.h"

namespace striate {

std::unique_ptr<FilterPlan> depthwise_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
