// The components that Winograd's and Fourier's transforms make of tiles: where they lie in memory.
#pragma once

#include <cstdint>

#include "conv/division.h"
#include "dispatch/caches.h"

namespace striate {

// Floats from one component to the next, of which each takes so many: 4 KiB and 7 lines. Components that lay a power of
// two apart would fall on the same lines of a cache.
constexpr std::int64_t spaced(std::int64_t floats) { return rounded_up(floats, 1024) + 7 * line_floats; }

}  // namespace striate
