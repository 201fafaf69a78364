// The taps of a filter over a map's rows in the buffer, as both passes read them.
#pragma once

#include <cstdint>
#include <vector>

#include "conv/shape.h"
#include "depthwise/kernels.h"

namespace striate {

// A plane: the rows that some rows of results see, each as `stride` lines of every stride-th pixel.
struct Planes {
    Axis rows, columns;
    std::int64_t line;
    std::vector<std::int64_t> taps;  // where each tap of the first result is

    Planes(const ConvShape& s, std::int64_t lanes)
        : rows(s.rows),
          columns(s.columns),
          line(columns.out() + (columns.extent() > 0 ? columns.extent() / columns.stride : 0) + lanes) {
        for (std::int64_t i = 0; i < rows.kernel; ++i) {
            for (std::int64_t j = 0; j < columns.kernel; ++j) {
                const std::int64_t column = j * columns.dilation;
                taps.push_back((i * rows.dilation * columns.stride + column % columns.stride) * line +
                               column / columns.stride);
            }
        }
    }

    std::int64_t in_rows(std::int64_t count) const { return (count - 1) * rows.stride + rows.extent(); }
    std::int64_t floats(std::int64_t count) const { return in_rows(count) * columns.stride * line; }
    std::int64_t row_step() const { return rows.stride * columns.stride * line; }
    PlaneTaps read() const { return {taps.data(), static_cast<std::int64_t>(taps.size())}; }

    // What rows [first, first + count) of results see of one map.
    PlaneRows rows_of(const float* map, std::int64_t row, std::int64_t pixel, std::int64_t first, std::int64_t count,
                      float* to) const {
        return {.image = map,
                .row = row,
                .pixel = pixel,
                .height = rows.size,
                .width = columns.size,
                .top = first * rows.stride - rows.low,
                .left = -columns.low,
                .rows = in_rows(count),
                .stride = columns.stride,
                .line = line,
                .to = to};
    }
};

}  // namespace striate
