// What a direct sum reads and writes, in either pass.
#pragma once

#include "conv/plan.h"

namespace striate {

struct Sides {
    std::int64_t in, out;        // maps of a group
    std::int64_t stored;         // of them in the result, as its layout has them
    std::int64_t height, width;  // of the images
    ImageStrides from, to;
};

inline Sides sides_of(Pass pass, const ConvShape& s, Layout from, Layout to) {
    const bool forward = pass == Pass::forward;
    const std::int64_t in = forward ? s.group_in() : s.group_out(), out = forward ? s.group_out() : s.group_in();
    const std::int64_t height = forward ? s.rows.size : s.rows.out(),
                       width = forward ? s.columns.size : s.columns.out();
    return {.in = in,
            .out = out,
            .stored = stored_maps(to, out),
            .height = height,
            .width = width,
            .from = strides_of(from, in * s.groups, height, width),
            .to = strides_of(to, out * s.groups, forward ? s.rows.out() : s.rows.size,
                             forward ? s.columns.out() : s.columns.size)};
}

}  // namespace striate
