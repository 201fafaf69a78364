// A convolution of stride 1 by Winograd's minimal filtering F(m, r) along each axis that has more than one tap.
//
// (m + r − 1)² products of maps where the direct sum has m² r²: 2.25, 4, 4.59 and 5.06 times fewer for r = 3 and m = 2,
// 4, 5, 6. What it costs is transforms, memory for them, and some digits (docs/algorithms/winograd.md).
#pragma once

#include "conv/plan.h"

namespace striate {

// Outputs of a tile along an axis, in F(m, ·): none where the filter has one tap.
constexpr int outputs_of(int m, std::int64_t kernel) { return kernel == 1 ? 1 : m; }

constexpr int largest_size = 8;  // components of a tile along an axis: with more, float32 is too inaccurate

// For m = 2, 4, 5, 6, and filters of 3 taps (5 and 7, where m + taps − 1 ≤ largest_size) along both axes or one.
std::unique_ptr<ImagePlan> winograd_images(const ConvShape& shape, const ConvOptions& options, int m);

}  // namespace striate
