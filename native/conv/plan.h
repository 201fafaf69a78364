// A convolution that is prepared once and run often: the one signature of every algorithm.
//
// A plan knows the shape, the layouts, the instruction set and the number of threads, and nothing of any weights, so
// that all layers of one shape share it. `pack` turns weights into the form in which the algorithm reads them: once for
// a net that only answers, every step for one that learns. `run` allocates nothing and may be called by several threads
// at once, each with a workspace of its own.
//
// Promises for all of them. Images, gradients, bias and residual: any address that floats may have, never modified, and
// apart from the result. `packed` and `workspace`: aligned to 64 bytes. The result is written whole. One thread count
// gives one result, bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "conv/layout.h"
#include "conv/shape.h"
#include "dispatch/caches.h"
#include "dispatch/isa.h"

namespace striate {

enum class Pass {
    forward,           // x, w → y
    backward_data,     // dy, w → dx
    backward_weights,  // x, dy → dw
};

struct ConvOptions {
    Layout from = Layout::nchw;  // of x; of dy in backward_data
    Layout to = Layout::nchw;    // of y; of dx in backward_data; of dy in backward_weights
    Isa isa = Isa::portable;
    int threads = 1;
    // A result, or packed weights, of at most so many bytes stay in the caches for whoever reads them next. Stores of
    // larger ones go past them, and do not read the lines that they overwrite.
    std::int64_t cached_bytes = kept_bytes();
};

// Weights, wherever they lie: filter k of group g at tap (i, j) of map c of its group is
// data[g · group + k · out + c · in + i · row + j · column].
struct Filters {
    const float* data;
    std::int64_t group, out, in, row, column;
};

// [out, in / groups, rows.kernel, columns.kernel], contiguous: PyTorch's.
constexpr Filters filters_of(const ConvShape& s, const float* data) {
    return {.data = data,
            .group = s.group_out() * s.group_in() * s.taps(),
            .out = s.group_in() * s.taps(),
            .in = s.taps(),
            .row = s.columns.kernel,
            .column = 1};
}

// What is done to a sum before it is stored: result = relu(sum + bias + residual).
struct Epilogue {
    const float* bias = nullptr;      // [out], or none
    const float* residual = nullptr;  // of the result's shape and layout, or none
    bool relu = false;
};

// Images and weights to images: forward, and backward to data.
class ImagePlan {
public:
    virtual ~ImagePlan() = default;

    virtual std::int64_t packed_floats() const = 0;
    virtual std::int64_t workspace_floats() const = 0;

    // `filters` are those of the forward pass, in both passes.
    virtual void pack(const Filters& filters, float* packed) const = 0;
    virtual void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
                     float* workspace) const = 0;
};

// Images and the gradient of the result to the gradient of the weights [out, in / groups, rows.kernel, columns.kernel].
class FilterPlan {
public:
    virtual ~FilterPlan() = default;

    virtual std::int64_t workspace_floats() const = 0;
    virtual void run(const float* x, const float* dy, float* dw, float* workspace) const = 0;
};

// An algorithm is a name and what it can plan. Each lives in a folder of its own, and is listed in algorithms.cpp.
struct ConvAlgorithm {
    const char* name;

    // Why it cannot do this, for a user to read; empty if it can. Shapes with nothing to compute never get here.
    std::string (*refuses)(Pass, const ConvShape&, const ConvOptions&);

    // Forward, for shapes that `refuses` lets pass. Padding may be negative (pixels left out), as in an adjoint.
    std::unique_ptr<ImagePlan> (*images)(const ConvShape&, const ConvOptions&);

    // Backward to data where the stride is not 1; with stride 1 it is `images` of the adjoint (adjoint.h). Null if
    // the algorithm has none.
    std::unique_ptr<ImagePlan> (*strided_backward_data)(const ConvShape&, const ConvOptions&) = nullptr;

    std::unique_ptr<FilterPlan> (*filters)(const ConvShape&, const ConvOptions&) = nullptr;

    // A bound on the error of any result, in units of 2⁻²⁴ · the largest Σ |a||b| of the sums: the formula that the
    // algorithm's own page of docs/ derives, and that the tests hold it to.
    double (*error_bound)(Pass, const ConvShape&);
};

// Terms in each sum of a pass.
constexpr std::int64_t sum_length(Pass pass, const ConvShape& s) {
    switch (pass) {
        case Pass::forward: return s.group_in() * s.taps();
        case Pass::backward_data: return s.group_out() * s.taps();
        case Pass::backward_weights: break;
    }
    return s.batch * s.out_pixels();
}

// For a plain sum of n products in float32, in any order: n roundings of sums, one of each product (Higham 2002,
// (3.5)), and those of bias and residual.
constexpr double plain_sum_error_bound(Pass pass, const ConvShape& s) {
    return static_cast<double>(sum_length(pass, s)) + 3;
}

// Every algorithm, in the order in which a reader should meet them.
const std::vector<const ConvAlgorithm*>& conv_algorithms();

// Null for a name that does not exist.
const ConvAlgorithm* conv_algorithm(const std::string& name);

// Why the blocked layout cannot hold these groups; empty if it can, or is not there. For every element.
std::string blocks_refusal(Pass pass, const ConvShape& shape, Layout from, Layout to);

// Why `algorithm` cannot do this, for a user to read; empty if it can.
std::string refusal(const ConvAlgorithm& algorithm, Pass pass, const ConvShape& shape, const ConvOptions& options);

// For pass forward or backward_data. A shape with no image, no pixel or no map gives a plan that writes what there is
// (bias and residual alone). Throws std::invalid_argument with the refusal.
std::unique_ptr<ImagePlan> plan_images(const ConvAlgorithm& algorithm, Pass pass, const ConvShape& shape,
                                       const ConvOptions& options);

std::unique_ptr<FilterPlan> plan_filters(const ConvAlgorithm& algorithm, const ConvShape& shape,
                                         const ConvOptions& options);

}  // namespace striate
