// What a convolution is: sizes, and nothing about how it is computed.
#pragma once

#include <cstdint>

namespace striate {

// One spatial axis: n pixels, of which `out()` windows of `kernel` taps see some.
struct Axis {
    std::int64_t size;
    std::int64_t kernel = 1;
    std::int64_t stride = 1;
    std::int64_t low = 0, high = 0;  // zeros before the first pixel and after the last
    std::int64_t dilation = 1;

    // Pixels from the first tap to the last, both included.
    constexpr std::int64_t extent() const { return dilation * (kernel - 1) + 1; }

    // ⌊(N + P_low + P_high − extent) / S⌋ + 1, and 0 where not one window fits.
    constexpr std::int64_t out() const {
        const std::int64_t span = size + low + high - extent();
        return span < 0 ? 0 : span / stride + 1;
    }
};

// x [batch, in, rows.size, columns.size], w [out, in / groups, rows.kernel, columns.kernel]
//     → y [batch, out, rows.out(), columns.out()]
struct ConvShape {
    std::int64_t batch, in, out;
    std::int64_t groups = 1;  // divides `in` and `out`; group g takes the g-th part of the one to the g-th of the other
    Axis rows, columns;

    constexpr std::int64_t group_in() const { return in / groups; }
    constexpr std::int64_t group_out() const { return out / groups; }
    constexpr std::int64_t taps() const { return rows.kernel * columns.kernel; }
    constexpr std::int64_t in_pixels() const { return rows.size * columns.size; }
    constexpr std::int64_t out_pixels() const { return rows.out() * columns.out(); }
    constexpr bool empty() const { return batch == 0 || in == 0 || out == 0 || out_pixels() == 0; }
    constexpr bool unit_stride() const { return rows.stride == 1 && columns.stride == 1; }

    // Multiply-adds of the direct sum, padding counted as pixels: what every algorithm's time is measured against.
    constexpr std::int64_t macs() const { return batch * out * out_pixels() * group_in() * taps(); }
};

}  // namespace striate
