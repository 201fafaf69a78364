// Resampling under any map, the obvious way: one output pixel after another, in double, straight from the definition
// (docs/design/augment.md: Frames, Lens, Filter, Border, Colour). The oracle, and the place to begin reading.
#pragma once

#include "augment/warp.h"

namespace striate::reference {

void warp(const Warp& call, const Image* images);

}  // namespace striate::reference
