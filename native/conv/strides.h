// Where the pixels of a block of maps lie, as kernels need to know it.
#pragma once

#include <cstdint>

namespace striate {

// Pixel (y, x) of map c of a block is data[c · map + y · row + x · pixel].
struct Strides {
    std::int64_t map, row, pixel;
};

}  // namespace striate
