// How the sum over K is cut into blocks, and where a panel lies among those of an operand packed whole.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv/division.h"

namespace striate {

// Blocks of equal length (the last may be shorter), none longer than `longest`. They depend on K alone, as the order of
// the sums does.
struct DepthBlocks {
    // Both panels then come from the second cache (one of B is 128 KiB at 32 columns, and takes 9 of the 64 bytes a
    // cycle that this can give). Shorter ones would stay in the first, but pass over C more often, which lies farther
    // away.
    static constexpr std::int64_t longest = 1024;

    std::int64_t k, count, length;

    explicit constexpr DepthBlocks(std::int64_t depth)
        : k(depth),
          count(std::max<std::int64_t>(quotient_up(depth, longest), 1)),
          length(std::max<std::int64_t>(quotient_up(depth, count), 1)) {}

    constexpr std::int64_t begin(std::int64_t block) const { return std::min(k, block * length); }
    constexpr std::int64_t size(std::int64_t block) const { return begin(block + 1) - begin(block); }
};

// In an operand packed whole, block after block: `panels` panels of a width each.
constexpr std::int64_t packed_panel(const DepthBlocks& depth, std::int64_t block, std::int64_t panels,
                                    std::int64_t width, std::int64_t panel) {
    return width * (panels * depth.begin(block) + panel * depth.size(block));
}

}  // namespace striate
