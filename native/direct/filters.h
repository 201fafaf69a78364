// The gradient of the weights, tap by tap: sums over pixels, held in registers.
//
// dw[q] of a run of taps is a sum over pixels of x[pixel + q] · dy[pixel]: the forward pass's tile with taps in the
// place of pixels. Where all of dw fits a second cache, each thread sums its own share of the rows, and the sums are
// added in the order of the shares; where it does not, threads share the rows and each has taps and maps of its own.
#pragma once

#include "conv/plan.h"

namespace striate {

std::unique_ptr<FilterPlan> direct_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
