// The bias of some maps as kernels read it, in whole registers.
#pragma once

#include <algorithm>
#include <cstdint>

namespace striate {

// bias[first], … of `maps` maps (none if that is not positive) to `to`, and zeros up to `room`; all zeros without a
// bias.
inline void copy_bias(const float* bias, std::int64_t first, std::int64_t maps, std::int64_t room, float* to) {
    const std::int64_t copied = bias == nullptr ? 0 : std::clamp<std::int64_t>(maps, 0, room);
    if (copied > 0) std::copy_n(bias + first, copied, to);
    std::fill_n(to + copied, room - copied, 0.0f);
}

}  // namespace striate
