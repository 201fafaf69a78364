#include "direct/plan.h"

#include <numeric>

#include "direct/convolution.h"
#include "direct/filters.h"
#include "threads/phases.h"

namespace striate {

namespace {

// Several direct convolutions of the same images into pixels of their own of the same result.
class DirectImages final : public ImagePlan {
public:
    struct Part {
        DirectConvolution convolution;
        std::int64_t first_tap_row, first_tap_column;  // where its filters are among those of the whole
        std::int64_t row_step, column_step;
        bool transposed;
    };

    explicit DirectImages(std::vector<Part> parts, int threads) : parts_(std::move(parts)), threads_(threads) {}

    std::int64_t packed_floats() const override {
        std::int64_t floats = 0;
        for (const Part& part : parts_) floats += part.convolution.packed_floats();
        return floats;
    }

    std::int64_t workspace_floats() const override {
        std::int64_t floats = 0;
        for (const Part& part : parts_) floats = std::max(floats, part.convolution.workspace_floats());
        return floats;
    }

    void pack(const Filters& f, float* packed) const override {
        for (const Part& part : parts_) {
            part.convolution.pack({.data = f.data + part.first_tap_row * f.row + part.first_tap_column * f.column,
                                   .group = f.group,
                                   .out = part.transposed ? f.in : f.out,
                                   .in = part.transposed ? f.out : f.in,
                                   .row = part.row_step * f.row,
                                   .column = part.column_step * f.column},
                                  packed);
            packed += part.convolution.packed_floats();
        }
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        std::int64_t phases = 0;
        for (const Part& part : parts_) phases += part.convolution.phases();
        // the part that a phase belongs to, the phase among its own, and where its weights begin
        const auto at = [&](std::int64_t phase, auto visit) {
            const float* weights = packed;
            for (const Part& part : parts_) {
                if (phase < part.convolution.phases()) return visit(part.convolution, phase, weights);
                phase -= part.convolution.phases();
                weights += part.convolution.packed_floats();
            }
        };
        parallel_phases(
            phases, threads_,
            [&](std::int64_t phase) {
                std::int64_t items = 0;
                at(phase, [&](const DirectConvolution& c, std::int64_t own, const float*) { items = c.items(own); });
                return items;
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                at(phase, [&](const DirectConvolution& c, std::int64_t own, const float* weights) {
                    c.run({images, weights, epilogue, result, workspace}, own, item, member);
                });
            });
    }

private:
    std::vector<Part> parts_;
    int threads_;
};

DirectPlace whole(Layout layout, std::int64_t maps, std::int64_t height, std::int64_t width) {
    return {0, strides_of(layout, maps, height, width), layout == Layout::blocked};
}

std::unique_ptr<ImagePlan> images(const ConvShape& s, const ConvOptions& options) {
    std::vector<DirectImages::Part> parts;
    parts.push_back({.convolution = {s, strides_of(options.from, s.in, s.rows.size, s.columns.size),
                                     whole(options.to, s.out, s.rows.out(), s.columns.out()), options.isa, options.threads},
                     .first_tap_row = 0,
                     .first_tap_column = 0,
                     .row_step = 1,
                     .column_step = 1,
                     .transposed = false});
    return std::make_unique<DirectImages>(std::move(parts), options.threads);
}

// Pixels p ≡ residue (mod S) of dx along one axis. Tap i reaches them from dy's pixel (p + P − i·D) / S where that is
// whole: for every (S / g)-th tap from the first that does, g = gcd(S, D), dy's pixels lying D / g apart. So they are a
// convolution of stride 1 with these taps, last first.
struct AxisPhase {
    Axis axis;  // of dy
    std::int64_t first_tap = 0, tap_step = 0;

    AxisPhase(const Axis& forward, std::int64_t residue)
        : axis{.size = forward.out(), .kernel = 0} {
        const std::int64_t stride = forward.stride, pixels = quotient_up(forward.size - residue, stride);
        const std::int64_t g = std::gcd(stride, forward.dilation), step = stride / g;
        for (std::int64_t i = 0; i < std::min(step, forward.kernel); ++i) {
            const std::int64_t from = residue + forward.low - i * forward.dilation;
            if (from % stride != 0) continue;
            axis.kernel = (forward.kernel - 1 - i) / step + 1;
            axis.dilation = forward.dilation / g;
            axis.low = (axis.kernel - 1) * axis.dilation - from / stride;
            first_tap = i + step * (axis.kernel - 1);
            tap_step = -step;
            break;
        }
        axis.high = pixels - 1 + axis.extent() - axis.size - axis.low;  // so that out() is `pixels`
    }
};

std::unique_ptr<ImagePlan> strided_backward_data(const ConvShape& s, const ConvOptions& options) {
    std::vector<DirectImages::Part> parts;
    for (std::int64_t row = 0; row < std::min(s.rows.stride, s.rows.size); ++row) {
        for (std::int64_t column = 0; column < std::min(s.columns.stride, s.columns.size); ++column) {
            const AxisPhase rows(s.rows, row), columns(s.columns, column);
            DirectPlace place = whole(options.to, s.in, s.rows.size, s.columns.size);
            place.offset = row * place.strides.row + column * place.strides.pixel;
            place.strides.row *= s.rows.stride;
            place.strides.pixel *= s.columns.stride;
            const ConvShape phase{.batch = s.batch,
                                  .in = s.out,
                                  .out = s.in,
                                  .groups = s.groups,
                                  .rows = rows.axis,
                                  .columns = columns.axis};
            parts.push_back({.convolution = {phase, strides_of(options.from, s.out, s.rows.out(), s.columns.out()), place,
                                             options.isa, options.threads},
                             .first_tap_row = rows.first_tap,
                             .first_tap_column = columns.first_tap,
                             .row_step = rows.tap_step,
                             .column_step = columns.tap_step,
                             .transposed = true});
        }
    }
    return std::make_unique<DirectImages>(std::move(parts), options.threads);
}

}  // namespace

const ConvAlgorithm direct_algorithm = {
    .name = "direct",
    .refuses = [](Pass, const ConvShape&, const ConvOptions&) { return std::string(); },
    .images = images,
    .strided_backward_data = strided_backward_data,
    .filters = direct_filters,
    .error_bound = plain_sum_error_bound,
};

}  // namespace striate
