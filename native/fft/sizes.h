// The lengths of transforms there are, per axis; a tile is any two of them.
#pragma once

namespace striate {

constexpr int fft_sizes[] = {8, 12, 16, 24, 32, 48, 64};
constexpr int fft_size_count = 7;
constexpr int fft_largest = 64;

}  // namespace striate
