// What both kinds of bound plans share: words for passes and layouts, shapes as numbers, packed weights, workspaces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conv/plan.h"
#include "memory/arena.h"

namespace striate::bindings {

using Address = std::uintptr_t;

Pass pass_named(const std::string& name);
Layout layout_named(const std::string& name);

// (batch, in, out, groups, then for rows and for columns: size, kernel, stride, low, high, dilation), as striate.conv's
// ConvShape lists itself.
ConvShape shape_from(const std::vector<std::int64_t>& numbers);

// Of a result, the lanes that stand for no map included.
std::int64_t result_values(Pass pass, const ConvShape& shape, Layout to);

// Some algorithms keep sums in the result before they read the residual. Raises ValueError where a residual, if there
// is one, and a result of so many bytes share memory.
void expect_apart(const std::string& where, Address residual, Address result, std::int64_t bytes);

// Workspaces are per thread and kept: a run allocates nothing once its thread has run the largest.
Arena& thread_arena();

// Packed weights of one plan, in memory of their own.
struct PackedWeights {
    Floats64 floats;
    std::int64_t count;
};

}  // namespace striate::bindings
