// Which maps can be resampled under, and how much of the source an output pixel covers.
#pragma once

#include <cstdint>
#include <string>

#include "augment/kernels.h"

namespace striate {

// Source pixels that one output pixel covers along the source's axes, at least 1: the lengths of the rows of
// ∂source / ∂output.
struct Stretch {
    double across, down;
};

// At the point (x, y) of the output.
Stretch stretch_at(const Scene& scene, double x, double y);

// Why no image can be resampled under `matrix` [3, 3] after `lens` [2] (or null) to height × width; empty if it can:
// numbers that are not finite, a map onto a line, one that sends part of the output to infinity (or as good as that).
std::string refusal(const double* matrix, const double* lens, std::int64_t height, std::int64_t width);

}  // namespace striate
