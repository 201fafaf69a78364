// A convolution of stride 1 or 2 by Winograd's minimal filtering F(m, r) along each axis that has more than one tap.
//
// (m + r − 1)² products of maps where the direct sum has m² r²: 2.25, 4, 4.59 and 5.06 times fewer for r = 3 and m = 2,
// 4, 5, 6. What it costs is transforms, memory for them, and some digits (docs/algorithms/winograd.md).
#pragma once

#include "conv/division.h"
#include "conv/plan.h"

namespace striate {

// Outputs of a tile along an axis, in F(m, ·): none where the filter has one tap.
constexpr int outputs_of(int m, std::int64_t kernel) { return kernel == 1 ? 1 : m; }

// Components of a tile along an axis, at most: with more, float32 is too inaccurate. Where only one axis has more than
// one tap, only its errors grow, and it may have more.
constexpr int largest_size = 8, largest_size_alone = 12;

// Whether there is F(m, taps), along both axes, or where it is `alone` along one.
constexpr bool winograd_takes(int m, std::int64_t taps, bool alone) {
    const std::int64_t size = m + taps - 1;
    if (taps == 3 || (taps == 2 && !alone)) return true;
    if (taps != 5 && taps != 7) return false;
    return size <= largest_size || (alone && size <= largest_size_alone && size % 2 == 0);  // 9 and 11 have no points
}

// Taps along an axis that is filtered at stride 1: with stride 2, of every second pixel (residues.h).
constexpr std::int64_t taps_of(const Axis& axis) { return quotient_up(axis.kernel, axis.stride); }

// For m = 2, 4, 5, 6, and filters of which winograd_takes taps_of both axes, or one's.
std::unique_ptr<ImagePlan> winograd_images(const ConvShape& shape, const ConvOptions& options, int m);

// Of stride 2, and an odd number of taps along both axes.
std::unique_ptr<ImagePlan> winograd_strided_backward_data(const ConvShape& shape, const ConvOptions& options, int m);

}  // namespace striate
