// The gradient of the weights of a 3×3 convolution of stride 1, by Winograd's minimal filtering turned round.
//
//     dw = Gᵀ [Σ over tiles (A dy Aᵀ) ⊙ (Bᵀ x B)] G
//
// with the matrices of the forward F(m×m, 3×3): (m + 2)² products a tile where the direct sum has 9 m²
// (docs/algorithms/winograd-weights.md).
#pragma once

#include "conv/plan.h"

namespace striate {

// For m = 2, 4, 5, 6, and shapes that Winograd's forward pass takes.
std::unique_ptr<FilterPlan> winograd_filters(const ConvShape& shape, const ConvOptions& options, int m);

// In the units of ConvAlgorithm::error_bound.
double winograd_filters_error_bound(const ConvShape& shape, int m);

}  // namespace striate
