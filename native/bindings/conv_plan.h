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

// How much a run reads and writes, in bytes, the lanes that stand for no map included.
struct RunBytes {
    std::int64_t images, bias, result;

    // Of images and results whose numbers are `number` bytes each; those of the bias are floats.
    static RunBytes of(Pass pass, const ConvShape& shape, Layout from, Layout to, std::int64_t number);

    // Algorithms write some of the result before they have read all of the rest, and some keep sums there. Raises
    // ValueError where images, bias or residual, if there are such, share memory with the result.
    void expect_apart(const std::string& where, Address images, Address bias, Address residual, Address result) const;
};

// Workspaces are per thread and kept: a run allocates nothing once its thread has run the largest.
Arena& thread_arena();

// Packed weights of one plan, in memory of their own.
struct PackedWeights {
    Floats64 floats;
    std::int64_t count;
    std::string plan;  // as `made_from` writes it
};

// What a plan was made from, for a user to read. Plans made from the same read each other's weights, and no others':
// how weights lie depends on all of it, and weights that lie otherwise are often as many.
std::string made_from(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
                      const std::string& from, const std::string& to, int threads, const char* unit);

// Raises ValueError for weights of another plan than the one that was made from `plan`.
void expect_own(const std::string& where, const PackedWeights& packed, const std::string& plan);

}  // namespace striate::bindings
