#include "depthwise/filters.h"

#include <algorithm>

#include "conv/division.h"
#include "depthwise/planes.h"
#include "dispatch/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t plane_floats = 1 << 15;  // of copied rows at a time: a sixteenth of a second cache of 2 MB

class DepthwiseFilters final : public FilterPlan {
public:
    DepthwiseFilters(const ConvShape& shape, const ConvOptions& options)
        : shape_(shape),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, depthwise_kernels)),
          x_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          dy_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())),
          planes_(shape, kernels_.lanes),
          dy_line_(rounded_up(shape.columns.out(), kernels_.lanes)),
          rows_(std::clamp<std::int64_t>(plane_floats / (planes_.row_step() + dy_line_), 1, shape.rows.out())) {}

    std::int64_t workspace_floats() const override { return threads_ * thread_floats(); }

    // An item is one filter: one map of dy with one map of x.
    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const std::int64_t in = shape_.group_in(), taps = shape_.taps();
        parallel_items(shape_.out * in, threads_, [&](std::int64_t item, int member) {
            const std::int64_t k = item / in, c = k / shape_.group_out() * in + item % in;
            float* const plane = workspace + member * thread_floats();
            float* const slopes = plane + planes_.floats(rows_);
            std::fill_n(dw + item * taps, taps, 0.0f);
            for (std::int64_t image = 0; image < shape_.batch; ++image) {
                for (std::int64_t row = 0; row < shape_.rows.out(); row += rows_) {
                    const std::int64_t count = std::min(rows_, shape_.rows.out() - row);
                    kernels_.plane_rows(
                        planes_.rows_of(x + image * x_.image + x_.of_map(c), x_.row, x_.pixel, row, count, plane));
                    kernels_.plane_rows({.image = dy + image * dy_.image + dy_.of_map(k),
                                         .row = dy_.row,
                                         .pixel = dy_.pixel,
                                         .height = shape_.rows.out(),
                                         .width = shape_.columns.out(),
                                         .top = row,
                                         .left = 0,
                                         .rows = count,
                                         .stride = 1,
                                         .line = dy_line_,
                                         .to = slopes});
                    kernels_.plane_gradient({.plane = plane,
                                             .plane_row = planes_.row_step(),
                                             .taps = planes_.read(),
                                             .dy = slopes,
                                             .dy_row = dy_line_,
                                             .rows = count,
                                             .pixels = shape_.columns.out(),
                                             .dw = dw + item * taps});
                }
            }
        });
    }

private:
    std::int64_t thread_floats() const { return planes_.floats(rows_) + rows_ * dy_line_; }

    ConvShape shape_;
    int threads_;
    const DepthwiseKernels& kernels_;
    ImageStrides x_, dy_;
    Planes planes_;
    std::int64_t dy_line_, rows_;  // floats of a row of dy in the buffer; rows at a time
};

}  // namespace

std::unique_ptr<FilterPlan> depthwise_filters(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<DepthwiseFilters>(shape, options);
}

}  // namespace striate
