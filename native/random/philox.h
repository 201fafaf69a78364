// Philox4x32-10: random numbers as a function of (key, counter), no state.
//
// Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3 and figure 3; constants
// from the same paper. Ten rounds of multiply, swap and xor; each key passes the whole BigCrush battery (section 5).
#pragma once

#include <array>
#include <cstdint>

namespace striate {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

PhiloxCounter philox_block(PhiloxCounter counter, PhiloxKey key);

// out[count][4] = block(counter = (sample low, sample high, epoch, stream), key = (seed low, seed high)), per sample.
void philox(std::uint64_t seed, std::uint32_t epoch, const std::int64_t* samples, std::int64_t count,
            std::uint32_t stream, std::uint32_t* out);

}  // namespace striate
