// Which maps can be resampled under.
#pragma once

#include <cstdint>
#include <string>

namespace striate {

// Why no image can be resampled under `matrix` [3, 3] after `lens` [2] (or null) to height × width; empty if it can:
// numbers that are not finite, a map onto a line, one that sends part of the output to infinity (or as good as that).
std::string refusal(const double* matrix, const double* lens, std::int64_t height, std::int64_t width);

}  // namespace striate
