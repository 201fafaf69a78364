// Convolution as a product whose columns are made while it runs: im2col without its matrix.
//
// The pixels of a grid are cut into chunks. A thread writes the columns of a chunk into panels, in its own second
// cache, and multiplies them at once by all the weights; the sums go to the result from a tile that never leaves the
// first cache. Either the maps of the result lie across the registers and pixels down the tile, or the other way round.
#pragma once

#include "conv/plan.h"
#include "im2col/grid.h"

namespace striate {

// Any shape, forward or (any stride) backward to data. With `in_place`, pixels that one tap sees and that lie in the
// images as the product reads them (1×1 filters) are read there and not copied.
std::unique_ptr<ImagePlan> product_forward(const ConvShape& shape, const ConvOptions& options, bool in_place);
std::unique_ptr<ImagePlan> product_backward_data(const ConvShape& shape, const ConvOptions& options, bool in_place);
std::unique_ptr<FilterPlan> product_filters(const ConvShape& shape, const ConvOptions& options);

}  // namespace striate
