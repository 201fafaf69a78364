// Three products with one matrix, col [C·taps, pixels]: row (c, i, j) holds, for each pixel of the result, what tap (i,
// j) of its window sees of map c. With weights as they lie, W [K, C·taps],
//
//     y = W · col        dcol = Wᵀ · dy, and dx gathers from dcol what each of its pixels gave        dW = dy · colᵀ
//
// One image and one group at a time, so that the matrix is as large as for a batch of one; threads share the rows.
#include "im2col/matrix.h"

#include <algorithm>

#include "conv/division.h"
#include "dispatch/kernels.h"
#include "gemm/gemm.h"
#include "im2col/grid.h"
#include "strassen/strassen.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t rows_per_item = 16;  // maps that a thread writes or reads at a time

constexpr std::int64_t aligned(std::int64_t floats) { return rounded_up(floats, line_floats); }

// Images as matrices [maps, pixels] and back, one image and one group at a time.
class Columns {
public:
    Columns(const ConvShape& s, const ConvOptions& options)
        : shape(s),
          isa(options.isa),
          threads(std::max(1, options.threads)),
          kernels(STRIATE_KERNELS_OF(options.isa, im2col_kernels)),
          grid(forward_grid(s)),
          identity(identity_grid(grid.rows, grid.columns)) {}

    std::int64_t pixels() const { return grid.pixels(); }
    std::int64_t depth() const { return shape.group_in() * shape.taps(); }

    // The matrix of im2col, [C · taps, pixels].
    void columns(const float* x, const ImageStrides& strides, std::int64_t image, std::int64_t group, float* to) const {
        const std::int64_t bunches = quotient_up(shape.group_in(), rows_per_item);
        parallel_items(bunches, threads, [&](std::int64_t item, int) {
            const std::int64_t first = item * rows_per_item, maps = std::min(rows_per_item, shape.group_in() - first);
            const float* from = x + image * strides.image + strides.of_map(group * shape.group_in() + first);
            const Sight sight{from, strides, maps, shape.rows.size, shape.columns.size};
            for (std::int64_t t = 0; t < pixels(); t += most_pixels) {
                const Pixels seen = grid.seen(strides, t, std::min(most_pixels, pixels() - t));
                float* row = to + first * shape.taps() * pixels() + t;
                for (const GridTap& tap : grid.taps) {
                    kernels.pixels_across(sight, seen, tap.shift, row, shape.taps() * pixels());
                    row += pixels();
                }
            }
        });
    }

    // `maps` maps of images of the result's size, [maps, pixels].
    void plain(const float* y, const ImageStrides& strides, std::int64_t image, std::int64_t map, std::int64_t maps,
               float* to) const {
        parallel_items(quotient_up(maps, rows_per_item), threads, [&](std::int64_t item, int) {
            const std::int64_t first = item * rows_per_item;
            const float* from = y + image * strides.image + strides.of_map(map + first);
            const Sight sight{from, strides, std::min(rows_per_item, maps - first), shape.rows.out(),
                              shape.columns.out()};
            for (std::int64_t t = 0; t < pixels(); t += most_pixels) {
                const Pixels seen = identity.seen(strides, t, std::min(most_pixels, pixels() - t));
                kernels.pixels_across(sight, seen, {0, 0}, to + first * pixels() + t, pixels());
            }
        });
    }

    ConvShape shape;
    Isa isa;
    int threads;
    const Im2colKernels& kernels;
    Grid grid, identity;  // of what the taps see; of images that are taken as they are
};

// Sums [maps, pixels] of one image and group, with bias, residual and ReLU, to a result of any layout.
void finish(const float* sums, std::int64_t maps, std::int64_t stored, std::int64_t pixels, std::int64_t first_map,
            const ImageStrides& strides, std::int64_t image, const Epilogue& epilogue, float* result, int threads) {
    parallel_items(stored, threads, [&](std::int64_t map, int) {
        const float bias = epilogue.bias != nullptr && map < maps ? epilogue.bias[first_map + map] : 0.0f;
        const std::int64_t offset = image * strides.image + strides.of_map(first_map + map);
        for (std::int64_t t = 0; t < pixels; ++t) {
            const std::int64_t at = offset + t * strides.pixel;
            float sum = map < maps ? sums[map * pixels + t] + bias : 0.0f;
            if (epilogue.residual != nullptr) sum += epilogue.residual[at];
            result[at] = epilogue.relu && sum < 0.0f ? 0.0f : sum;
        }
    });
}

void copy_filters(const ConvShape& s, const Filters& f, float* to) {
    for (std::int64_t g = 0; g < s.groups; ++g) {
        for (std::int64_t k = 0; k < s.group_out(); ++k) {
            for (std::int64_t c = 0; c < s.group_in(); ++c) {
                for (std::int64_t i = 0; i < s.rows.kernel; ++i) {
                    for (std::int64_t j = 0; j < s.columns.kernel; ++j) {
                        *to++ = f.data[g * f.group + k * f.out + c * f.in + i * f.row + j * f.column];
                    }
                }
            }
        }
    }
}

class MatrixForward final : public ImagePlan {
public:
    MatrixForward(const ConvShape& s, const ConvOptions& options, int levels)
        : levels_(levels),
          reads_images_(levels > 0 && options.from == Layout::nchw && sees_itself(s.rows) && sees_itself(s.columns)),
          writes_result_(levels > 0 && options.to == Layout::nchw),
          columns_(s, options),
          from_(strides_of(options.from, s.in, s.rows.size, s.columns.size)),
          to_(strides_of(options.to, s.out, s.rows.out(), s.columns.out())),
          stored_(stored_maps(options.to, s.group_out())) {}

    std::int64_t packed_floats() const override { return columns_.shape.out * columns_.depth(); }
    std::int64_t workspace_floats() const override {
        return matrix_floats() + sums_floats() +
               strassen_workspace(columns_.shape.group_out(), columns_.pixels(), columns_.depth(), levels_,
                                  columns_.isa, columns_.threads);
    }
    void pack(const Filters& filters, float* packed) const override { copy_filters(columns_.shape, filters, packed); }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const std::int64_t maps = columns_.shape.group_out(), pixels = columns_.pixels(), depth = columns_.depth();
        float* const matrix = workspace;
        float* const sums = matrix + matrix_floats();
        float* const rest = sums + sums_floats();
        for (std::int64_t image = 0; image < columns_.shape.batch; ++image) {
            for (std::int64_t group = 0; group < columns_.shape.groups; ++group) {
                if (!reads_images_) columns_.columns(images, from_, image, group, matrix);
                Gemm product{.m = maps,
                             .n = pixels,
                             .k = depth,
                             .a = {packed + group * maps * depth, depth, 1},
                             .b = {reads_images_ ? images + image * from_.image + from_.of_map(group * depth) : matrix,
                                   pixels, 1},
                             .c = sums,
                             .c_row = pixels};
                if (writes_result_) {
                    const std::int64_t at = image * to_.image + to_.of_map(group * maps);
                    product.c = result + at;
                    product.epilogue = {.row_bias = epilogue.bias == nullptr ? nullptr : epilogue.bias + group * maps,
                                        .residual = epilogue.residual == nullptr ? nullptr : epilogue.residual + at,
                                        .relu = epilogue.relu};
                }
                strassen(product, levels_, rest, columns_.isa, columns_.threads);
                if (writes_result_) continue;
                finish(sums, maps, stored_, pixels, group * maps, to_, image, epilogue, result, columns_.threads);
            }
        }
    }

private:
    static bool sees_itself(const Axis& axis) {
        return axis.kernel == 1 && axis.stride == 1 && axis.low == 0 && axis.high == 0;
    }

    std::int64_t matrix_floats() const { return reads_images_ ? 0 : aligned(columns_.depth() * columns_.pixels()); }
    std::int64_t sums_floats() const {
        return writes_result_ ? 0 : aligned(columns_.shape.group_out() * columns_.pixels());
    }

    int levels_;
    bool reads_images_, writes_result_;

    Columns columns_;
    ImageStrides from_, to_;
    std::int64_t stored_;
};

class MatrixBackwardData final : public ImagePlan {
public:
    MatrixBackwardData(const ConvShape& s, const ConvOptions& options, int levels)
        : levels_(levels),
          columns_(s, options),
          from_(strides_of(options.from, s.out, s.rows.out(), s.columns.out())),
          to_(strides_of(options.to, s.in, s.rows.size, s.columns.size)),
          stored_(stored_maps(options.to, s.group_in())),
          grids_(backward_data_grids(s)) {}

    std::int64_t packed_floats() const override { return columns_.shape.out * columns_.depth(); }
    std::int64_t workspace_floats() const override {
        return matrix_floats() + dy_floats() + dx_floats() +
               strassen_workspace(columns_.depth(), columns_.pixels(), columns_.shape.group_out(), levels_,
                                  columns_.isa, columns_.threads);
    }
    void pack(const Filters& filters, float* packed) const override { copy_filters(columns_.shape, filters, packed); }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const ConvShape& s = columns_.shape;
        const std::int64_t maps = s.group_out(), pixels = columns_.pixels(), depth = columns_.depth();
        float* const matrix = workspace;
        float* const dy = matrix + matrix_floats();
        float* const dx = dy + dy_floats();
        for (std::int64_t image = 0; image < s.batch; ++image) {
            for (std::int64_t group = 0; group < s.groups; ++group) {
                columns_.plain(images, from_, image, group * maps, maps, dy);
                strassen({.m = depth,
                          .n = pixels,
                          .k = maps,
                          .a = {packed + group * maps * depth, 1, depth},
                          .b = {dy, pixels, 1},
                          .c = matrix,
                          .c_row = pixels},
                         levels_, dx + dx_floats(), columns_.isa, columns_.threads);
                parallel_items(s.group_in(), columns_.threads, [&](std::int64_t map, int) {
                    gather(matrix + map * s.taps() * pixels, dx + map * s.in_pixels());
                });
                finish(dx, s.group_in(), stored_, s.in_pixels(), group * s.group_in(), to_, image, epilogue, result,
                       columns_.threads);
            }
        }
    }

private:
    std::int64_t matrix_floats() const { return aligned(columns_.depth() * columns_.pixels()); }
    std::int64_t dy_floats() const { return aligned(columns_.shape.group_out() * columns_.pixels()); }
    std::int64_t dx_floats() const { return aligned(columns_.shape.group_in() * columns_.shape.in_pixels()); }

    // Col2im of one map: each pixel of dx collects what it gave to the windows that saw it.
    void gather(const float* matrix, float* dx) const {
        const std::int64_t height = columns_.grid.rows, width = columns_.grid.columns;
        for (const Grid& grid : grids_) {
            for (std::int64_t y = 0; y < grid.rows; ++y) {
                for (std::int64_t x = 0; x < grid.columns; ++x) {
                    float sum = 0;
                    for (const GridTap& tap : grid.taps) {
                        const std::int64_t p = y + tap.shift.rows, q = x + tap.shift.columns;
                        if (p < 0 || p >= height || q < 0 || q >= width) continue;
                        sum +=
                            matrix[((tap.row * columns_.shape.columns.kernel + tap.column) * height + p) * width + q];
                    }
                    dx[(grid.first_row + y * grid.row_step) * columns_.shape.columns.size + grid.first_column +
                       x * grid.column_step] = sum;
                }
            }
        }
    }

    int levels_;
    Columns columns_;
    ImageStrides from_, to_;
    std::int64_t stored_;
    std::vector<Grid> grids_;
};

class MatrixFilters final : public FilterPlan {
public:
    MatrixFilters(const ConvShape& s, const ConvOptions& options, int levels)
        : levels_(levels),
          columns_(s, options),
          x_(strides_of(options.from, s.in, s.rows.size, s.columns.size)),
          dy_(strides_of(options.to, s.out, s.rows.out(), s.columns.out())) {}

    std::int64_t workspace_floats() const override {
        return matrix_floats() + dy_floats() + sums_floats() +
               strassen_workspace(columns_.shape.group_out(), columns_.depth(), columns_.pixels(), levels_,
                                  columns_.isa, columns_.threads);
    }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const ConvShape& s = columns_.shape;
        const std::int64_t maps = s.group_out(), pixels = columns_.pixels(), depth = columns_.depth();
        float* const matrix = workspace;
        float* const plain = matrix + matrix_floats();
        float* const sums = plain + dy_floats();
        for (std::int64_t image = 0; image < s.batch; ++image) {
            for (std::int64_t group = 0; group < s.groups; ++group) {
                columns_.columns(x, x_, image, group, matrix);
                columns_.plain(dy, dy_, image, group * maps, maps, plain);
                float* const filters = dw + group * maps * depth;
                const bool is_apart = image > 0 && levels_ > 0;
                strassen({.m = maps,
                          .n = depth,
                          .k = pixels,
                          .a = {plain, pixels, 1},
                          .b = {matrix, 1, pixels},
                          .c = is_apart ? sums : filters,
                          .c_row = depth,
                          .accumulate = image > 0 && !is_apart},
                         levels_, sums + sums_floats(), columns_.isa, columns_.threads);
                if (!is_apart) continue;
                parallel_items(maps, columns_.threads, [&](std::int64_t map, int) {
                    for (std::int64_t i = map * depth; i < (map + 1) * depth; ++i) filters[i] += sums[i];
                });
            }
        }
    }

private:
    std::int64_t matrix_floats() const { return aligned(columns_.depth() * columns_.pixels()); }
    std::int64_t dy_floats() const { return aligned(columns_.shape.group_out() * columns_.pixels()); }
    // Of one image: Strassen's product does not add to what is there.
    std::int64_t sums_floats() const {
        const ConvShape& s = columns_.shape;
        return levels_ > 0 && s.batch > 1 ? aligned(s.group_out() * columns_.depth()) : 0;
    }

    int levels_;
    Columns columns_;
    ImageStrides x_, dy_;
};

}  // namespace

std::unique_ptr<ImagePlan> matrix_forward(const ConvShape& shape, const ConvOptions& options, int levels) {
    return std::make_unique<MatrixForward>(shape, options, levels);
}

std::unique_ptr<ImagePlan> matrix_backward_data(const ConvShape& shape, const ConvOptions& options, int levels) {
    return std::make_unique<MatrixBackwardData>(shape, options, levels);
}

std::unique_ptr<FilterPlan> matrix_filters(const ConvShape& shape, const ConvOptions& options, int levels) {
    return std::make_unique<MatrixFilters>(shape, options, levels);
}

}  // namespace striate
