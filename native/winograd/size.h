// The sizes of F(m, r)'s tiles along one axis.
#pragma once

#include <cstdint>

namespace striate {

// Of runs, or of other things that are counted.
struct Range {
    std::int64_t begin, end;
    constexpr std::int64_t size() const { return end - begin; }
    constexpr bool has(std::int64_t i) const { return i >= begin && i < end; }
};

struct WinogradSize {
    int m, r;     // outputs of a tile, taps
    int short_m;  // outputs of a short tile, whose components are among a long one's; m, if there are none

    constexpr int components(bool is_short = false) const { return (is_short ? short_m : m) + r - 1; }

    // Whether a short tile has component k: the first, and the last.
    constexpr bool in_short(int k) const { return k < components(true) - 1 || k == components() - 1; }
};

}  // namespace striate
