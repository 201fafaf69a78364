// Whole numbers divided upwards, as counting blocks, tiles and parts needs it.
#pragma once

#include <cstdint>

namespace striate {

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t rounded_up(std::int64_t a, std::int64_t to) { return quotient_up(a, to) * to; }

}  // namespace striate
