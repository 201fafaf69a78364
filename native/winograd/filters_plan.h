// The gradient of the weights of a convolution of stride 1, by Winograd's minimal filtering turned round.
//
//     dw = Gᵀ [Σ over tiles (A dy Aᵀ) ⊙ (Bᵀ x B)] G
//
// with the matrices of the forward F(m×m, r×r): (m + r − 1)² products a tile where the direct sum has m² r²
// (docs/algorithms/winograd-weights.md). An axis with one tap is not transformed.
#pragma once

#include "conv/plan.h"

namespace striate {

// For m = 2, 4, 5, 6, and shapes that Winograd's forward pass takes.
std::unique_ptr<FilterPlan> winograd_filters(const ConvShape& shape, const ConvOptions& options, int m);

// What an error grows by beside the algorithm's own growth: the error bound's other factor.
double winograd_filters_roundings(const ConvShape& shape, int m);

}  // namespace striate
