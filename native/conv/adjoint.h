// Backward to data, for stride 1, is a convolution too: of dy with the filters turned round, in and out swapped.
//
//     dx[c, p, q] = Σ_k Σ_i Σ_j w[k, c, i, j] · dy[k, p + P − i·D, q + P − j·D]
//                 = Σ_k Σ_i' Σ_j' w[k, c, K−1−i', K−1−j'] · dy[k, p − P' + i'·D, …]      P' = D·(K−1) − P
//
// P' is negative where the forward pass pads by more than a filter's extent: then dy has rows that no pixel of x sees.
#pragma once

#include "conv/plan.h"

namespace striate {

constexpr Axis adjoint(const Axis& a) {
    const std::int64_t reach = a.extent() - 1;
    return {.size = a.out(),
            .kernel = a.kernel,
            .stride = 1,
            .low = reach - a.low,
            .high = a.size - 1 + a.low - (a.out() - 1),  // so that out() is the size of x
            .dilation = a.dilation};
}

// Of a shape with stride 1.
constexpr ConvShape adjoint(const ConvShape& s) {
    return {.batch = s.batch,
            .in = s.out,
            .out = s.in,
            .groups = s.groups,
            .rows = adjoint(s.rows),
            .columns = adjoint(s.columns)};
}

// The filters that the adjoint of `shape` takes, of those that `shape` takes.
constexpr Filters adjoint(const ConvShape& shape, const Filters& f) {
    return {.data = f.data + (shape.rows.kernel - 1) * f.row + (shape.columns.kernel - 1) * f.column,
            .group = f.group,
            .out = f.in,
            .in = f.out,
            .row = -f.row,
            .column = -f.column};
}

}  // namespace striate
