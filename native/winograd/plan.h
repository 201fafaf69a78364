// Winograd's minimal filtering F(m×m, r×r), m = 2, 4, 5 and 6, as algorithms: images_plan.h and filters_plan.h compute.
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm winograd2_algorithm, winograd4_algorithm, winograd5_algorithm, winograd6_algorithm;

}  // namespace striate
