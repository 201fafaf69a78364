// Separable resampling, the obvious way: rows first, then columns, one weighted sum after another. The oracle.
#pragma once

#include <cstdint>

#include "resize/filter.h"

namespace striate::reference {

// in [height, width, channels] to out [height, across.out, channels].
void resize_across(const TapsView& across, const std::uint8_t* in, std::int64_t height, std::int64_t channels,
                   std::uint8_t* out);

// in [down.in, row_values] to out [down.out, row_values].
void resize_down(const TapsView& down, const std::uint8_t* in, std::int64_t row_values, std::uint8_t* out);

}  // namespace striate::reference
