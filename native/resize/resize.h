// Antialiased resizing of 8-bit images: Pillow's results, bit for bit, faster.
#pragma once

#include <cstdint>

#include "dispatch/isa.h"
#include "resize/filter.h"

namespace striate {

// in [height, width, channels] to out [out_height, out_width, channels], both contiguous, no side of length 0.
// Along one axis into bytes, then along the other, in Pillow 13's order; an axis that keeps its length is left alone.
// Allocates the weights of both axes and, where both change, the bytes between the two passes.
void resize(const std::uint8_t* in, std::int64_t height, std::int64_t width, std::int64_t channels, std::uint8_t* out,
            std::int64_t out_height, std::int64_t out_width, Filter filter, Isa isa);

}  // namespace striate
