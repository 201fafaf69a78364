// A 3×3 convolution of stride 1 by Winograd's minimal filtering, F(m×m, 3×3) with m = 2, 4 or 6.
//
// (m + 2)² products where the direct sum has 9 m²: 2.25, 4 and 5.06 times fewer. What it costs is transforms, memory
// for them, and some digits (docs/design/conv.md).
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm winograd2_algorithm, winograd4_algorithm, winograd6_algorithm;

}  // namespace striate
