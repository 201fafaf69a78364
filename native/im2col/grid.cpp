#include "im2col/grid.h"

namespace striate {

namespace {

// Taps of one axis, each with its shift.
struct AxisTap {
    std::int64_t tap, shift;
};

struct AxisGrid {
    std::int64_t count, first;
    std::vector<AxisTap> taps;
};

AxisGrid backward_axis(const Axis& a, std::int64_t first) {
    AxisGrid grid{.count = first < a.size ? (a.size - first - 1) / a.stride + 1 : 0, .first = first, .taps = {}};
    for (std::int64_t i = 0; i < a.kernel; ++i) {
        const std::int64_t shift = first + a.low - i * a.dilation;
        if (shift % a.stride == 0) grid.taps.push_back({i, shift / a.stride});
    }
    return grid;
}

// Where pixel `begin` of images of `pixels` pixels in rows without gaps lies, if the others follow it evenly; else −1.
std::int64_t even(const ImageStrides& s, std::int64_t pixels, std::int64_t begin, std::int64_t count) {
    const std::int64_t image = begin / pixels, first = begin - image * pixels;
    if (first + count > pixels && s.image != pixels * s.pixel) return -1;
    return image * s.image + first * s.pixel;
}

}  // namespace

std::int64_t Grid::even_places(const ImageStrides& to, std::int64_t begin, std::int64_t count) const {
    if (row_step != 1 || column_step != 1) return -1;
    return even(to, pixels(), begin, count);
}

std::int64_t Grid::even_sight(const ImageStrides& from, std::int64_t height, std::int64_t width, std::int64_t begin,
                              std::int64_t count) const {
    if (row_stride != 1 || column_stride != 1 || rows != height || columns != width) return -1;
    if (taps.size() != 1 || taps[0].shift.rows != 0 || taps[0].shift.columns != 0) return -1;
    return even(from, pixels(), begin, count);
}

Pixels Grid::seen(const ImageStrides& from, std::int64_t begin, std::int64_t count) const {
    Pixels seen;
    seen.count = count;
    std::int64_t image = begin / pixels(), row = begin % pixels() / columns, column = begin % columns;
    for (std::int64_t t = 0; t < count; ++t) {
        seen.y[t] = row * row_stride;
        seen.x[t] = column * column_stride;
        seen.at[t] = image * from.image + seen.y[t] * from.row + seen.x[t] * from.pixel;
        if (++column < columns) continue;
        column = 0;
        if (++row < rows) continue;
        row = 0, ++image;
    }
    return seen;
}

void Grid::places(const ImageStrides& to, std::int64_t begin, std::int64_t count, std::int64_t* at) const {
    std::int64_t image = begin / pixels(), row = begin % pixels() / columns, column = begin % columns;
    for (std::int64_t t = 0; t < count; ++t) {
        at[t] =
            image * to.image + (first_row + row * row_step) * to.row + (first_column + column * column_step) * to.pixel;
        if (++column < columns) continue;
        column = 0;
        if (++row < rows) continue;
        row = 0, ++image;
    }
}

Grid forward_grid(const ConvShape& s) {
    Grid grid{.rows = s.rows.out(),
              .columns = s.columns.out(),
              .row_stride = s.rows.stride,
              .column_stride = s.columns.stride,
              .first_row = 0,
              .first_column = 0,
              .row_step = 1,
              .column_step = 1,
              .taps = {}};
    for (std::int64_t i = 0; i < s.rows.kernel; ++i) {
        for (std::int64_t j = 0; j < s.columns.kernel; ++j) {
            grid.taps.push_back({i, j, {i * s.rows.dilation - s.rows.low, j * s.columns.dilation - s.columns.low}});
        }
    }
    return grid;
}

Grid identity_grid(std::int64_t rows, std::int64_t columns) {
    return {.rows = rows,
            .columns = columns,
            .row_stride = 1,
            .column_stride = 1,
            .first_row = 0,
            .first_column = 0,
            .row_step = 1,
            .column_step = 1,
            .taps = {{0, 0, {0, 0}}}};
}

std::vector<Grid> backward_data_grids(const ConvShape& s) {
    std::vector<Grid> grids;
    for (std::int64_t y = 0; y < s.rows.stride; ++y) {
        for (std::int64_t x = 0; x < s.columns.stride; ++x) {
            const AxisGrid rows = backward_axis(s.rows, y), columns = backward_axis(s.columns, x);
            if (rows.count == 0 || columns.count == 0) continue;
            Grid grid{.rows = rows.count,
                      .columns = columns.count,
                      .row_stride = 1,
                      .column_stride = 1,
                      .first_row = rows.first,
                      .first_column = columns.first,
                      .row_step = s.rows.stride,
                      .column_step = s.columns.stride,
                      .taps = {}};
            for (const AxisTap& row : rows.taps) {
                for (const AxisTap& column : columns.taps) {
                    grid.taps.push_back({row.tap, column.tap, {row.shift, column.shift}});
                }
            }
            grids.push_back(std::move(grid));
        }
    }
    return grids;
}

std::vector<Grid> grids_of(Pass pass, const ConvShape& s) {
    if (pass == Pass::forward) return {forward_grid(s)};
    return backward_data_grids(s);
}

std::int64_t runs_of(const std::int64_t* at, std::int64_t count, Run* runs) {
    std::int64_t found = 0;
    for (std::int64_t t = 0; t < count; ++t) {
        if (t > 0 && at[t] == at[t - 1] + 1) {
            ++runs[found - 1].count;
        } else {
            runs[found++] = {t, 1, at[t]};
        }
    }
    return found;
}

}  // namespace striate
