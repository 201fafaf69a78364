// Sections that lie one behind the other, as the items or phases of a plan's parts do, and which of them holds a number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace striate {

// The last of the sections that begin at `at` or before it; the first begins at 0, and begin(section) says where each
// does. By halving: backward to data with stride S has S × S of them, and every item asks.
template <typename Section, typename Begin>
const Section& section_at(const std::vector<Section>& sections, std::int64_t at, Begin begin) {
    return *std::prev(std::ranges::upper_bound(sections, at, {}, begin));
}

}  // namespace striate
