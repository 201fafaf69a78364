// A plan made of several convolutions of the same images, each into pixels of its own of the same result.
//
// Backward to data with stride S is S×S of them: pixels p ≡ r (mod S) of dx are a convolution, of stride 1, of dy with
// the taps that reach them.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "conv/plan.h"
#include "conv/sections.h"
#include "dispatch/caches.h"
#include "threads/phases.h"

namespace striate {

// Where results go. With strides of their own, so that they may be every second pixel of a larger image.
struct Place {
    std::int64_t offset;
    ImageStrides strides;
    bool whole_blocks;  // of 16 maps; those that do not exist get zeros
    std::int64_t cached_bytes;
};

constexpr Place whole_images(const ConvOptions& o, std::int64_t maps, std::int64_t height, std::int64_t width) {
    return {0, strides_of(o.to, maps, height, width), o.to == Layout::blocked, o.cached_bytes};
}

// Whether results go past the caches: large ones, whose maps are whole lines of the caches. Half a line past them is
// slower than a line through them.
inline bool past_caches(const Place& to, std::int64_t batch, std::int64_t group_maps, const float* result) {
    const ImageStrides& s = to.strides;
    return s.map == 1 && group_maps % line_floats == 0 && outgrow(batch * s.image, to.cached_bytes) &&
           (s.image | s.row | s.pixel) % line_floats == 0 &&
           reinterpret_cast<std::uintptr_t>(result + to.offset) % (line_floats * sizeof(float)) == 0;
}

// What one run is about.
struct ConvCall {
    const float *images, *packed;
    const Epilogue& epilogue;
    float *result, *workspace;
};

// Pixels p ≡ residue (mod S) of dx along one axis. Tap i reaches them from dy's pixel (p + P − i·D) / S where that is
// whole: for every (S / g)-th tap from the first that does, g = gcd(S, D), dy's pixels lying D / g apart. So they are a
// convolution of stride 1 with these taps, last first. There may be none: a kernel of 0.
struct AdjointPhase {
    Axis axis;                                 // of dy
    std::int64_t first_tap = 0, tap_step = 0;  // of the forward pass's taps

    AdjointPhase(const Axis& forward, std::int64_t residue) : axis{.size = forward.out(), .kernel = 0} {
        const std::int64_t stride = forward.stride, pixels = (forward.size - residue + stride - 1) / stride;
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

// A Convolution takes a shape, the strides of its images, the place of its results, an instruction set and a number of
// threads; packs; and does its work in items of phases (threads/phases.h). Its shape may have no taps.
template <typename Convolution>
class PartsPlan final : public ImagePlan {
public:
    static std::unique_ptr<ImagePlan> forward(const ConvShape& s, const ConvOptions& o) {
        auto plan = std::make_unique<PartsPlan>(o.threads);
        plan->add({Convolution(s, strides_of(o.from, s.in, s.rows.size, s.columns.size),
                               whole_images(o, s.out, s.rows.out(), s.columns.out()), o.isa, o.threads),
                   0, 0, 1, 1, false});
        return plan;
    }

    static std::unique_ptr<ImagePlan> strided_backward_data(const ConvShape& s, const ConvOptions& o) {
        auto plan = std::make_unique<PartsPlan>(o.threads);
        for (std::int64_t row = 0; row < std::min(s.rows.stride, s.rows.size); ++row) {
            for (std::int64_t column = 0; column < std::min(s.columns.stride, s.columns.size); ++column) {
                const AdjointPhase rows(s.rows, row), columns(s.columns, column);
                Place place = whole_images(o, s.in, s.rows.size, s.columns.size);
                place.offset = row * place.strides.row + column * place.strides.pixel;
                place.strides.row *= s.rows.stride;
                place.strides.pixel *= s.columns.stride;
                const ConvShape phase{.batch = s.batch,
                                      .in = s.out,
                                      .out = s.in,
                                      .groups = s.groups,
                                      .rows = rows.axis,
                                      .columns = columns.axis};
                plan->add({Convolution(phase, strides_of(o.from, s.out, s.rows.out(), s.columns.out()), place, o.isa,
                                       o.threads),
                           rows.first_tap, columns.first_tap, rows.tap_step, columns.tap_step, true});
            }
        }
        return plan;
    }

    explicit PartsPlan(int threads) : threads_(threads) {}

    std::int64_t packed_floats() const override { return packed_; }
    std::int64_t workspace_floats() const override { return workspace_; }

    void pack(const Filters& f, float* packed) const override {
        for (const Part& part : parts_) {
            part.convolution.pack({.data = f.data + part.first_row * f.row + part.first_column * f.column,
                                   .group = f.group,
                                   .out = part.transposed ? f.in : f.out,
                                   .in = part.transposed ? f.out : f.in,
                                   .row = part.row_step * f.row,
                                   .column = part.column_step * f.column},
                                  packed + part.packed);
        }
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        parallel_phases(
            phases_, threads_,
            [&](std::int64_t phase) {
                const Part& part = section_at(parts_, phase, &Part::phase);
                return part.convolution.items(phase - part.phase);
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const Part& part = section_at(parts_, phase, &Part::phase);
                part.convolution.run({images, packed + part.packed, epilogue, result, workspace}, phase - part.phase,
                                     item, member);
            });
    }

private:
    struct Part {
        Convolution convolution;
        std::int64_t first_row, first_column;  // the tap of the whole that is its first
        std::int64_t row_step, column_step;    // and the steps from there
        bool transposed;                       // maps in are maps out
        std::int64_t phase = 0, packed = 0;    // its first of all phases; where its weights begin
    };

    void add(Part part) {
        part.phase = phases_, part.packed = packed_;
        phases_ += part.convolution.phases(), packed_ += part.convolution.packed_floats();
        workspace_ = std::max(workspace_, part.convolution.workspace_floats());
        parts_.push_back(std::move(part));
    }

    std::vector<Part> parts_;
    std::int64_t phases_ = 0, packed_ = 0, workspace_ = 0;  // of all; the largest
    int threads_;
};

}  // namespace striate
